"""A request without a statement: the listing tells what became of it, and until it does nothing is repeated."""

from typing import Any

import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    REFRESH,
    WHOAMI,
    Answered,
    at_gym,
    book,
    bookings_asked,
    deliver,
    delivered,
    inject_fault,
    lease_ends,
    prebook_open_class,
    ran,
    shots,
)
from tests.support.world import BOX, CLASS_ID, World

SAYS_NOTHING: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "login_page"},
    {"kind": "empty"},
    {"kind": "redirect"},
]
NO_ANSWER: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "truncated"},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 504},
    {"kind": "huge"},
]


def parked(answered: Answered, row: dict[str, Any]) -> bool:
    """Waits to be settled, until the lease of its begin has ended."""
    waits = answered.retry_after is not None and answered.retry_after >= 10
    return (answered.status, answered.outcome, row["status"]) == (503, "retry-later", "executing") and waits


async def redeliver(world: World, row: dict[str, Any]) -> tuple[Answered, dict[str, Any]]:
    """Ends the lease, and has QStash deliver again."""
    await lease_ends(world, row)
    return await deliver(world, row["id"]), await world.read(ANA, row["id"])


@pytest.mark.parametrize("fault", SAYS_NOTHING + NO_ANSWER, ids=str)
async def test_a_booking_whose_answer_was_lost_is_found_in_the_listing(sweepless: World, fault: dict[str, Any]) -> None:
    inject_fault(sweepless, handled=True, **fault)
    answered, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert (answered.status, answered.outcome) == (200, "booked")
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert row["result"]["bookingId"] == str(sweepless.gym.site.bookings()[0]["id"])
    assert len(bookings_asked(sweepless)) == 1


@pytest.mark.parametrize("fault", SAYS_NOTHING, ids=str)
async def test_after_a_complete_answer_that_says_nothing_an_absent_user_is_booked_again(
    sweepless: World, fault: dict[str, Any]
) -> None:
    inject_fault(sweepless, handled=False, **fault)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert shots(row) == ["not_here" if fault["kind"] == "redirect" else "nothing_said", "booked"]


@pytest.mark.parametrize("fault", NO_ANSWER, ids=str)
async def test_without_a_complete_answer_an_absent_user_is_parked_until_the_lease_has_ended(
    sweepless: World, fault: dict[str, Any]
) -> None:
    inject_fault(sweepless, handled=False, **fault)
    row = await prebook_open_class(sweepless)
    answered, now = await ran(sweepless, row)
    assert parked(answered, now)
    assert (await deliver(sweepless, row["id"])).outcome == "held"
    assert len(bookings_asked(sweepless)) == 1

    answered, row = await redeliver(sweepless, row)
    assert (answered.outcome, shots(row)) == ("booked", ["no_answer", "booked"])
    assert sweepless.bookings(ANA) == 1


async def test_a_parked_request_that_arrived_late_is_settled_as_booked_and_not_repeated(sweepless: World) -> None:
    inject_fault(sweepless, "stale", LISTING, seconds=3600, times=2)
    inject_fault(sweepless, "reset")
    row = await prebook_open_class(sweepless)
    assert parked(*await ran(sweepless, row))
    _, row = await redeliver(sweepless, row)
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert len(bookings_asked(sweepless)) == 1


async def test_a_gym_that_hangs_is_answered_for_in_time_and_parked(brief: World) -> None:
    inject_fault(brief, "hang", times=None)
    row = await prebook_open_class(brief)
    answered, now = await ran(brief, row)
    assert parked(answered, now)
    assert answered.took_s < 4.0
    brief.gym.faults.clear()
    _, row = await redeliver(brief, row)
    assert row["result"]["outcome"] == "booked"
    assert len(bookings_asked(brief)) == 1


async def test_a_gym_that_hangs_at_everything_is_answered_for_in_time(brief: World) -> None:
    for path in (BOOK, LISTING, WHOAMI, REFRESH):
        inject_fault(brief, "hang", path, times=None)
    answered, row = await ran(brief, await prebook_open_class(brief))
    assert parked(answered, row)
    assert answered.took_s < 4.0


async def test_no_refusal_fails_the_row_in_the_claim_of_a_shot_without_a_statement(sweepless: World) -> None:
    inject_fault(sweepless, "status", handled=False)
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(capacity=0))
    answered, now = await ran(sweepless, row)
    assert parked(answered, now)
    assert len(bookings_asked(sweepless)) == 2

    _, row = await redeliver(sweepless, row)
    assert (row["status"], row["error_code"]) == ("failed", "class_full")
    assert shots(row) == ["nothing_said", "class_full", "class_full"]


async def test_a_block_after_a_shot_without_a_statement_parks_instead_of_releasing(sweepless: World) -> None:
    inject_fault(sweepless, "status", handled=False)
    inject_fault(sweepless, "status", status=403)
    assert parked(*await ran(sweepless, await prebook_open_class(sweepless)))


async def test_a_dead_session_after_a_shot_without_a_statement_parks_instead_of_failing(sweepless: World) -> None:
    inject_fault(sweepless, "status", handled=False)
    inject_fault(sweepless, "logout")
    inject_fault(sweepless, "slow", WHOAMI, times=2)  # alive when made ready, and when the first shot is settled
    inject_fault(sweepless, "logout", WHOAMI)
    inject_fault(sweepless, "logout", REFRESH)
    row = await prebook_open_class(sweepless)
    assert parked(*await ran(sweepless, row))
    assert len(bookings_asked(sweepless)) == 2


async def test_the_same_hour_is_ours_if_the_listing_shows_it(sweepless: World) -> None:
    inject_fault(sweepless, "stale", LISTING, seconds=3600)  # what was booked a moment ago isn't seen yet
    await sweepless.member(ANA)
    opens_at = sweepless.open_class()
    book(sweepless, CLASS_ID)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, opens_at))
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert sweepless.bookings(ANA) == 1


async def test_the_same_hour_of_another_class_is_a_time_clash(sweepless: World) -> None:
    await sweepless.member(ANA)
    sweepless.open_class(class_id=502)
    opens_at = sweepless.open_class()
    book(sweepless, 502)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, opens_at))
    assert (row["status"], row["error_code"]) == ("failed", "time_clash")
    assert "misma hora" in row["error_message"]


async def test_the_same_hour_is_no_clash_while_the_listing_shows_neither_class(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = sweepless.open_class()
    row = await sweepless.prebook(ANA, opens_at)
    book(sweepless, CLASS_ID)  # by hand
    inject_fault(sweepless, "stale", LISTING, seconds=3600, times=2)
    assert parked(*await ran(sweepless, row))
    await lease_ends(sweepless, row)
    assert (await deliver(sweepless, row["id"])).outcome == "booked"
    assert (len(bookings_asked(sweepless)), sweepless.bookings(ANA)) == (1, 1)


async def test_the_same_hour_at_a_place_that_no_listing_shows_is_a_clash_when_it_is_said_again(
    sweepless: World,
) -> None:
    inject_fault(sweepless, "stale", LISTING, seconds=3600, times=None)
    await sweepless.member(ANA)
    sweepless.open_class(class_id=502)
    opens_at = sweepless.open_class()
    row = await sweepless.prebook(ANA, opens_at)
    book(sweepless, 502)
    assert parked(*await ran(sweepless, row))
    await lease_ends(sweepless, row)
    assert (await deliver(sweepless, row["id"])).outcome == "time_clash"
    assert len(bookings_asked(sweepless)) == 2


async def test_a_dead_session_sees_nobodys_bookings_so_absent_is_not_believed(sweepless: World) -> None:
    inject_fault(sweepless, "status", handled=True, seconds=0.3)
    row = await prebook_open_class(sweepless)
    await at_gym(sweepless, BOOK)
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    assert parked(*await ran(sweepless, row))
    assert len(bookings_asked(sweepless)) == 1  # absent would have been a reason for another
    await sign_in_anew(sweepless)
    _, row = await redeliver(sweepless, row)
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert len(bookings_asked(sweepless)) == 1


async def sign_in_anew(world: World) -> None:
    await world.database.execute("delete from public.auth_sessions")
    await world.member(ANA)


async def test_a_listing_without_the_class_says_nothing(sweepless: World) -> None:
    inject_fault(sweepless, "reset", handled=False)
    row = await prebook_open_class(sweepless)
    assert parked(*await ran(sweepless, row))
    gym_class = sweepless.gym.gym.remove_class(BOX.slug, CLASS_ID)
    answered, now = await redeliver(sweepless, row)
    assert (answered.outcome, now["status"]) == ("retry-later", "executing")
    assert answered.retry_after in range(11, 20)  # 15 s, a quarter more or less
    sweepless.gym.gym.put_class(gym_class)
    _, row = await redeliver(sweepless, row)
    assert row["result"]["outcome"] == "booked"


async def crashed_after_begin(world: World, **columns: str) -> dict[str, Any]:
    """A row whose worker was killed between its begin and its request, a lease ago."""
    world.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(world, familyId="77")
    values = {
        "status": "'executing'",
        "attempts": "1",
        "booking_started_at": "now()",
        "claim_token": "gen_random_uuid()",
        "begun_token": "gen_random_uuid()",
        "lease_until": "now() - interval '1 s'",
    } | columns
    changes = ", ".join(f"{name} = {value}" for name, value in values.items())
    await world.database.execute(f"update public.prebookings set {changes}")
    await world.member(ANA, family=[{"id": "77"}])
    return row


async def test_a_begun_request_that_never_left_is_settled_for_the_right_person_and_then_sent(
    sweepless: World,
) -> None:
    row = await crashed_after_begin(sweepless)
    assert (await deliver(sweepless, row["id"])).outcome == "booked"
    asked = sweepless.gym.ledger.of(LISTING)
    assert {entry.request.query["familyId"] for entry in asked} == {"77"}
    assert [entry.request.path for entry in sweepless.gym.ledger.entries].index(BOOK) >= 2


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        ({"attempts": "5"}, "attempts_exhausted", "interrupted"),
        ({"attempts": "5", "last_outcome": "'blocked'", "last_message": "'A wall.'"}, "blocked", "A wall."),
        ({"give_up_at": "now() - interval '1 s'"}, "expired", "over"),
    ],
)
async def test_when_nothing_may_be_sent_any_more_an_absent_user_ends_it_with_its_true_reason(
    sweepless: World, columns: dict[str, str], code: str, words: str
) -> None:
    row = await crashed_after_begin(sweepless, **columns)
    assert (await deliver(sweepless, row["id"])).status == 200
    now = await sweepless.read(ANA, row["id"])
    assert (now["status"], now["error_code"]) == ("failed", code)
    assert words in now["error_message"]
    assert not bookings_asked(sweepless)


async def test_when_nothing_may_be_sent_any_more_a_booking_is_still_found(sweepless: World) -> None:
    row = await crashed_after_begin(sweepless, attempts="5", give_up_at="now() - interval '1 h'")
    book(sweepless, CLASS_ID, "77")
    assert (await deliver(sweepless, row["id"])).outcome == "booked"
    assert not bookings_asked(sweepless)


async def test_a_day_after_its_end_an_unsettled_request_ends_as_unknown_and_a_retry_settles_it_first(
    sweepless: World,
) -> None:
    row = await crashed_after_begin(sweepless, give_up_at="now() - interval '25 h'")
    assert (await deliver(sweepless, row["id"])).outcome == "outcome_unknown"
    book(sweepless, CLASS_ID, "77")
    await sweepless.database.execute("update public.prebookings set give_up_at = now() + interval '1 h'")
    sweepless.qstash.qstash.faults.clear()
    answer = await sweepless.http.post(f"/prebookings/{row['id']}/retry", headers=sweepless.speaking_for(ANA))
    assert (await delivered(sweepless, answer.json())).outcome == "booked"
    assert not bookings_asked(sweepless)
