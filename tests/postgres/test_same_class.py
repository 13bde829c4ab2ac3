"""Booked once, though wished twice: no two prebookings of one member that may be for the same class are under way."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import begun, booking_data, claimed, outcome_unknown, parked, prebooking, settling
from tests.postgres.functions import NOW, Functions, Many, seconds, until_waiting

from prebooking.adapters.supabase.capabilities import CAPABILITIES

MADRID = "Europe/Madrid"
BY_HOUR = {"starts": "18:00", "name": "CrossFit", "time_zone": MADRID}
EVENING = {"id": "7", "starts": "18:00", "name": "CrossFit"}
LONG_AGO = NOW - timedelta(hours=1)
COMPLETED: dict[str, Any] = {"status": "completed", "executed_at": NOW, "result": {"outcome": "booked"}}


async def by_hour(db: Functions, **columns: Any) -> UUID:
    return await prebooking(db, **{"booking_data": {"day": "20990304"}, "class": BY_HOUR, "wish_key": None} | columns)


async def begin(db: Functions, row: UUID, token: UUID, learnt: dict[str, Any] | None = None, **more: Any) -> Any:
    return await db.call(
        "begin_booking",
        id=row,
        token=token,
        lease_seconds=20,
        max_attempts=5,
        **{"settled": False, "class": {} if learnt is None else learnt} | more,
    )


STATES: dict[str, dict[str, Any]] = {
    "begun": begun(uuid4()),
    "parked": parked(uuid4()),
    "being settled": settling(uuid4()),
    "the old cron's": {"status": "executing"},
    "unknown, and retried": {"booking_started_at": NOW, "begun_token": uuid4()},
    "ended unknown": outcome_unknown(),
    "booked": COMPLETED,
    "booked by the old cron": COMPLETED | {"result": None},
}


@pytest.mark.parametrize("state", STATES)
async def test_a_begin_is_refused_while_another_is_begun_or_booked_and_the_row_waits_for_it(
    db: Functions, state: str
) -> None:
    other = await prebooking(db, **{**STATES[state], "begun_as": EVENING})
    token = uuid4()
    row = await by_hour(db, **claimed(token, attempts=3))

    refused = await begin(db, row, token)

    assert (refused["outcome"], refused["retry_after"]) == ("held", 1)
    assert (refused["prebooking"]["status"], refused["prebooking"]["attempts"]) == ("pending", 2)
    now = await db.row(row)
    assert (now["waits_for"], now["booking_started_at"], now["claim_token"]) == (other, None, None)
    assert (await begin(db, row, token))["outcome"] == "lost"
    assert (await db.claim(row, token, capabilities=CAPABILITIES))["outcome"] == "already_ended"


@pytest.mark.parametrize(
    "state",
    [
        {},
        claimed(uuid4()),
        {"status": "cancelled"},
        {"status": "failed"},
        COMPLETED | {"result": {"given_back_at": NOW.isoformat()}},
    ],
    ids=["pending", "claimed", "cancelled", "failed", "given back"],
)
async def test_what_is_not_begun_or_has_no_place_any_more_hinders_nobody(db: Functions, state: dict[str, Any]) -> None:
    await prebooking(db, **{**state, "begun_as": EVENING})
    token = uuid4()
    assert (await begin(db, await by_hour(db, **claimed(token)), token))["outcome"] == "begun"


UNKNOWN_HOUR = {"id": "7", "starts": None, "name": None}
MEETINGS: list[tuple[dict[str, Any], dict[str, Any] | None, bool]] = [
    # what the other was begun as, what this one (id 9) has learnt, whether they may be the same
    (EVENING, {"id": "9", "starts": "18:00", "name": "crossfít "}, True),
    (EVENING, {"id": "9", "starts": "18:00", "name": None}, True),
    ({**EVENING, "name": None}, {"id": "9", "starts": "18:00", "name": "Yoga"}, True),
    (EVENING, {"id": "9", "starts": "18:00", "name": "Yoga"}, False),
    (EVENING, {"id": "9", "starts": "19:00", "name": "CrossFit"}, False),
    (EVENING, {"id": "7", "starts": "19:00", "name": "Yoga"}, True),
    ({"id": "9"}, {"id": "8", "starts": "19:00", "name": "Yoga"}, True),
    (EVENING, {}, True),
    (EVENING, None, True),
    (UNKNOWN_HOUR, {"id": "9", "starts": "18:00", "name": "Yoga"}, True),
    (UNKNOWN_HOUR, {"id": "9", "starts": None, "name": "Yoga", "beside": ["6", "8"]}, True),
    (UNKNOWN_HOUR, {"id": "9", "starts": None, "name": "Yoga", "beside": ["6", "7", "100"]}, False),
    (EVENING, {"id": "9", "starts": "18:00", "name": "CrossFit", "beside": ["7", "100"]}, True),
    ({}, {"id": "9", "starts": "18:00", "name": "Yoga", "beside": ["7"]}, True),
]


@pytest.mark.parametrize(("other", "learnt", "meet"), MEETINGS, ids=range(len(MEETINGS)))
async def test_they_meet_unless_they_are_known_to_be_different_classes(
    db: Functions, other: dict[str, Any], learnt: dict[str, Any] | None, *, meet: bool
) -> None:
    await prebooking(db, booking_data=booking_data("100"), **begun(uuid4(), begun_as=other))
    token = uuid4()
    row = await prebooking(db, booking_data=booking_data("9"), **claimed(token))
    told = {} if learnt is None else {"class": learnt}
    answer = await db.call(
        "begin_booking", id=row, token=token, lease_seconds=20, max_attempts=5, settled=False, **told
    )
    assert answer["outcome"] == ("held" if meet else "begun")


@pytest.mark.parametrize(
    "differs",
    [
        {"user_email": "bea@example.com"},
        {"box_subdomain": "another"},
        {"booking_data": {"day": "20990305"}},
        {"booking_data": {"day": "20990304", "familyId": "1"}},
    ],
    ids=["user", "box", "day", "family member"],
)
async def test_another_user_box_day_or_family_member_is_another_class(db: Functions, differs: dict[str, Any]) -> None:
    await by_hour(db, **begun(uuid4(), **differs))
    token = uuid4()
    assert (await begin(db, await by_hour(db, **claimed(token)), token))["outcome"] == "begun"


async def test_the_box_of_an_adopted_row_may_be_any(db: Functions) -> None:
    await by_hour(db, **begun(uuid4(), box_subdomain=None, user_email="ANA@example.com"))
    token = uuid4()
    assert (await begin(db, await by_hour(db, **claimed(token)), token))["outcome"] == "held"


@pytest.mark.parametrize(
    ("starts_at", "zone", "outcome"),
    [
        ("18:00+01", MADRID, "held"),
        ("19:00+01", MADRID, "begun"),
        ("19:00+01", None, "held"),
        ("19:00+01", "No/Zone", "held"),
    ],
)
async def test_a_start_tells_the_hour_where_its_clock_is_known(
    db: Functions, starts_at: str, zone: str | None, outcome: str
) -> None:
    other = await prebooking(db, **begun(uuid4(), time_zone=zone))
    await db.connection.execute(
        "update public.prebookings set starts_at = ('2099-03-04 ' || $2::text)::timestamptz where id = $1",
        other,
        starts_at,
    )
    token = uuid4()
    assert (await begin(db, await by_hour(db, **claimed(token)), token))["outcome"] == outcome


@pytest.mark.parametrize(
    ("ended", "absent", "outcome"),
    [(LONG_AGO, True, "begun"), (LONG_AGO, False, "held"), (NOW - seconds(30), True, "held"), (NOW, True, "held")],
)
async def test_what_was_booked_long_before_is_no_hindrance_where_the_listing_shows_the_user_absent(
    db: Functions,
    ended: Any,
    *,
    absent: bool,
    outcome: str,
) -> None:
    """The member has cancelled it at the gym; right after the booking the listing may be older than that."""
    await prebooking(db, **{**COMPLETED, "executed_at": ended, "begun_as": EVENING})
    token = uuid4()
    row = await by_hour(db, **claimed(token))
    assert (await begin(db, row, token, absent=absent))["outcome"] == outcome


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({}, "begun"),
        ({"absent": False}, "held"),
        ({"class": {"id": "9", "starts": "18:00", "name": "CrossFit", "beside": ["8"]}}, "held"),
        ({"class": {"id": "7", "starts": "18:00", "name": "CrossFit", "beside": ["100"]}}, "held"),
    ],
    ids=["apart", "present or unknown", "the other is not listed", "the same id"],
)
async def test_what_was_booked_before_the_claim_is_no_hindrance_where_one_listing_has_both(
    db: Functions, more: dict[str, Any], outcome: str
) -> None:
    """Two classes of one hour and name, in two rooms: the gym decides whether one member may be in both."""
    booked = {"executed_at": NOW - seconds(2), "result": {"outcome": "booked", "class_id": "7"}}
    await prebooking(db, booking_data=booking_data("100"), **COMPLETED | booked | {"begun_as": EVENING})
    token = uuid4()
    row = await prebooking(db, booking_data=booking_data("9"), **claimed(token))
    learnt = {"id": "9", "starts": "18:00", "name": "CrossFit", "beside": ["7", "100"]}
    told: dict[str, Any] = {"absent": True, "class": learnt} | more
    answer = await begin(db, row, token, told.pop("class"), **told)
    assert answer["outcome"] == outcome


async def test_an_absence_says_nothing_of_what_is_under_way(db: Functions) -> None:
    await prebooking(db, **begun(uuid4(), begun_as=EVENING, booking_started_at=LONG_AGO))
    token = uuid4()
    assert (await begin(db, await by_hour(db, **claimed(token)), token, absent=True))["outcome"] == "held"


async def test_the_refused_one_is_claimed_again_when_the_other_has_ended(db: Functions) -> None:
    first, second, again = uuid4(), uuid4(), uuid4()
    other = await by_hour(db, **begun(first))
    row = await by_hour(db, **claimed(second))
    await begin(db, row, second)
    await db.at(NOW + seconds(60))
    assert (await db.claim(row, uuid4(), capabilities=CAPABILITIES))["outcome"] == "retry_later"
    assert str(row) not in (await db.sweep(capabilities=CAPABILITIES))["execute"]

    await db.finish(other, first, "class_full")

    assert str(row) in (await db.sweep(capabilities=CAPABILITIES))["execute"]
    assert (await db.claim(row, again, capabilities=CAPABILITIES))["outcome"] == "claimed"
    assert (await begin(db, row, again))["outcome"] == "begun"


async def test_one_that_still_waits_is_ended_once_its_class_is_over(db: Functions) -> None:
    token = uuid4()
    await by_hour(db, **begun(uuid4()))
    row = await by_hour(db, **claimed(token))
    await begin(db, row, token)
    await db.at((await db.row(row))["give_up_at"])
    assert str(row) in (await db.sweep(capabilities=CAPABILITIES))["execute"]
    ended = await db.claim(row, uuid4(), capabilities=CAPABILITIES)
    assert ended["outcome"] == "expired"
    assert "Another of your prebookings" in ended["prebooking"]["error_message"]


@pytest.mark.parametrize(("since_opening_s", "pause_s"), [(0, 5), (40, 5), (600, 60), (86_400, 300)])
async def test_behind_a_booked_one_it_is_tried_the_more_rarely_the_longer_the_gym_does_not_tell(
    db: Functions, since_opening_s: int, pause_s: int
) -> None:
    await by_hour(db, **COMPLETED)
    token = uuid4()
    row = await by_hour(db, **claimed(token, available_at=NOW - seconds(since_opening_s)))
    await begin(db, row, token)
    assert (await db.row(row))["retry_at"] == NOW + seconds(pause_s)


@pytest.mark.parametrize(("hours", "outcome"), [(0, "held"), (8, "begun")])
async def test_two_that_start_at_different_instants_are_two_though_no_zone_is_known(
    db: Functions, hours: int, outcome: str
) -> None:
    start = NOW + timedelta(days=2)
    await prebooking(db, **COMPLETED | {"starts_at": start, "booking_data": booking_data("501")})
    token = uuid4()
    row = await prebooking(
        db, **claimed(token, starts_at=start + timedelta(hours=hours), booking_data=booking_data("502"))
    )
    assert (await begin(db, row, token))["outcome"] == outcome


async def test_it_waits_for_nobody_who_is_gone_and_can_be_cancelled(db: Functions) -> None:
    token = uuid4()
    row = await by_hour(db, waits_for=uuid4())
    assert (await db.claim(row, token, capabilities=CAPABILITIES))["outcome"] == "claimed"
    other = await by_hour(db, **begun(uuid4()))
    await begin(db, row, token)
    assert (await db.row(row))["waits_for"] == other
    assert (await db.cancel(row))["outcome"] == "cancelled"


async def test_a_begin_keeps_what_it_was_begun_as_and_the_claim_that_settles_it_hears_of_it(db: Functions) -> None:
    token, later = uuid4(), uuid4()
    row = await by_hour(db, **claimed(token))
    await begin(db, row, token, EVENING | {"beside": ["8"]})
    assert (await db.row(row))["begun_as"] == EVENING
    await db.at(NOW + seconds(60))
    assert (await db.claim(row, later, capabilities=CAPABILITIES))["begun_as"] == EVENING


async def test_an_earlier_version_begins_with_the_id_of_the_row(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, booking_data=booking_data("9"), **claimed(token))
    await db.begin(row, token)
    assert (await db.row(row))["begun_as"] == {"id": "9"}


async def test_of_many_at_once_one_begins(many: Many) -> None:
    replicas = await many(6)
    for _ in range(10):
        rows = {}
        for n in range(6):
            token = uuid4()
            kind = {"class": BY_HOUR, "booking_data": {"day": "20990304"}} if n % 2 else {"starts_at": None}
            rows[await prebooking(replicas[0], wish_key=None, **kind, **claimed(token, lease_until=None))] = token
        tries = zip(replicas, rows.items(), strict=True)
        answers = await asyncio.gather(*(begin(db, row, token) for db, (row, token) in tries))
        assert sorted(a["outcome"] for a in answers) == ["begun"] + 5 * ["held"]
        await replicas[0].connection.execute("delete from public.prebookings")


async def test_creates_cancels_and_begins_of_one_user_never_deadlock(many: Many) -> None:
    replicas = await many(6)

    async def go_on(db: Functions) -> None:
        for _ in range(15):
            data = booking_data()
            row = UUID((await db.create(data, NOW - timedelta(days=1)))["prebooking"]["id"])
            token = uuid4()
            if (await db.claim(row, token, max_attempts=5, lease=5))["outcome"] == "claimed":
                await begin(db, row, token)
                await db.finish(row, token, "class_full")
            await db.cancel(row)

    await asyncio.gather(*map(go_on, replicas))


async def test_a_begin_takes_the_users_turn_before_it_locks_the_row(many: Many) -> None:
    first, second = await many(2)
    token = uuid4()
    row = await by_hour(first, **claimed(token, lease_until=None))
    async with first.connection.transaction():
        await first.connection.execute("select prebooking.take_turn('Ana@example.com')")
        beginning = asyncio.create_task(begin(second, row, token))
        await until_waiting(second, for_=first)
        assert (await first.cancel(row))["outcome"] == "cancelled"
    assert (await beginning)["outcome"] == "cancelled"
