"""What happened: each transition leaves one event, whoever makes it, and a repeat leaves none."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import GIVE_UP_AT, OPENING, booking_data, prebooking
from tests.postgres.functions import NOW, Functions, seconds

_INSTANCE = "4fa91c02-3d0e-4b59-9f3c-000000000000"


async def history(db: Functions, row: UUID) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await db.call("read_history", id=row))["events"]
    return events


async def told(db: Functions, row: UUID) -> list[tuple[str, str | None]]:
    return [(event["event"], event.get("reason")) for event in await history(db, row)]


async def created(db: Functions) -> UUID:
    return UUID((await db.create(booking_data(), OPENING))["prebooking"]["id"])


async def test_a_booking_is_told_from_its_create_to_its_end(db: Functions) -> None:
    headers = json.dumps({"host": "x", "x-instance-id": _INSTANCE}, separators=(",", ":"))
    row, token = await created(db), uuid4()
    await db.attach(row, 1, "msg_1")
    await db.connection.execute("select set_config('request.headers', $1, true)", headers)
    await db.claim(row, token, 1)
    await db.at(NOW + seconds(1.5))
    await db.begin(row, token)
    await db.at(NOW + seconds(3.25))
    await db.finish(row, token)

    events = await history(db, row)
    instants = [datetime.fromisoformat(event.pop("at")) for event in events]
    assert instants == [NOW + seconds(after) for after in (0, 0, 0, 1.5, 3.25)]
    here = {"replica": "4fa91c"}
    assert events == [
        {"event": "created"},
        {"event": "message_ordered", "message_id": "msg_1"},
        {"event": "claimed", "attempt": 1, **here},
        {"event": "begun", "attempt": 1, "took_ms": 1500, **here},
        {"event": "finished", "attempt": 1, "reason": "booked", "took_ms": 3250, **here},
    ]


@pytest.mark.parametrize("headers", ["", "{}", "no json", '{"x-instance-id":"dlq"}', '{"x-instance-id":"a\'b"}'])
async def test_whoever_is_no_replica_is_named_as_none(db: Functions, headers: str) -> None:
    await db.connection.execute("select set_config('request.headers', $1, true)", headers)
    assert await history(db, await created(db)) == [{"at": NOW.isoformat(), "event": "created"}]


async def test_a_call_that_is_repeated_or_refused_leaves_nothing(db: Functions) -> None:
    row, token, retry = await created(db), uuid4(), uuid4()
    for _ in range(2):
        await db.attach(row, 1, "msg_1")
        await db.claim(row, token, 1)
        await db.claim(row, uuid4(), 1)
        await db.begin(row, token)
        await db.cancel(row)
        await db.renew({row: token})
    for _ in range(2):
        await db.finish(row, token, "class_full")
        await db.cancel(row)
    for _ in range(2):
        await db.retry(row, token=retry)
    for _ in range(2):
        await db.reschedule(row, OPENING + seconds(60))
    for _ in range(2):
        await db.attach(row, 3, "msg_3")
        await db.note_failure(row, 3, "QStash gave up: HTTP 500 <p>a proxy's page</p>")
    for _ in range(2):
        await db.cancel(row)

    assert await told(db, row) == [
        *(("created", None), ("message_ordered", None), ("claimed", None), ("begun", None)),
        *(("finished", "class_full"), ("retried", None)),
        ("rescheduled", (OPENING + seconds(60)).isoformat()),
        *(("message_ordered", None), ("delivery_failed", "HTTP 500"), ("message_ordered", None)),
        *(("delivery_failed", "HTTP 500"), ("cancelled", None)),
    ]
    assert [event.get("message_id") for event in await history(db, row)][-3:] == ["msg_3", "msg_3", None]


async def test_a_release_tells_its_reason_and_a_shutdown_has_none(db: Functions) -> None:
    row = await created(db)
    for outcome, graceful in (
        ("gym_unreachable", False),
        ("gym_unreachable", False),
        (None, True),
        ("too_early", True),
    ):
        token = uuid4()
        await db.claim(row, token)
        await db.begin(row, token)
        await db.release(row, token, outcome, "Said.", graceful=graceful)

    released = [event for event in await history(db, row) if event["event"] == "released"]
    assert [(event.get("reason"), event["attempt"]) for event in released] == [
        *(("gym_unreachable", 1), ("gym_unreachable", 2), (None, 3), ("too_early", 3))
    ]


@pytest.mark.parametrize(
    ("last", "reason"), [("booked", "present"), ("class_full", "absent"), ("outcome_unknown", None)]
)
async def test_what_another_claim_had_begun_is_settled_before_it_ends(
    db: Functions, last: str, reason: str | None
) -> None:
    row, first, second = await created(db), uuid4(), uuid4()
    await db.claim(row, first)
    await db.begin(row, first)
    await db.park(row, first)
    await db.at(NOW + seconds(30))
    await db.claim(row, second)
    await db.park(row, second)
    await db.finish(row, second, last)

    settled = [("settled", reason)] if reason else []
    assert await told(db, row) == [
        *(("created", None), ("claimed", None), ("begun", None), ("parked", None), ("claimed", None)),
        *(("parked", None), *settled, ("finished", last)),
    ]


@pytest.mark.parametrize("then", ["begun", "released"])
async def test_what_was_settled_as_absent_goes_on(db: Functions, then: str) -> None:
    row, first, second = await created(db), uuid4(), uuid4()
    await db.claim(row, first)
    await db.begin(row, first)
    await db.at(NOW + seconds(30))
    await db.claim(row, second)
    if then == "begun":
        await db.begin(row, second, settled=True)
    else:
        await db.release(row, second, "gym_unreachable", "Said.", settled=True)

    assert (await told(db, row))[-2:][0] == ("settled", "absent")
    assert (await history(db, row))[-1]["event"] == then


async def test_the_end_by_a_claim_is_told_without_a_duration(db: Functions) -> None:
    row = await created(db)
    await db.claim(row, uuid4())
    await db.at(GIVE_UP_AT)
    await db.claim(row, uuid4())
    assert (await history(db, row))[-1] == {
        "at": GIVE_UP_AT.isoformat(),
        "event": "finished",
        "attempt": 1,
        "reason": "expired",
    }


async def test_rows_and_endings_of_the_web_application_are_told_too(db: Functions) -> None:
    row = await prebooking(db, wish_key=None)
    await db.connection.execute("update public.prebookings set status = 'loaded', loaded_at = now() where id = $1", row)
    await db.connection.execute(
        "update public.prebookings set status = 'completed', result = '\"done\"' where id = $1", row
    )
    assert await told(db, row) == [("adopted", None), ("finished", None)]


async def test_a_place_that_is_given_back_is_told_once(db: Functions) -> None:
    row, token = await created(db), uuid4()
    await db.claim(row, token)
    await db.finish(row, token)
    for at in (NOW, NOW + seconds(1)):
        await db.connection.execute(
            "update public.prebookings set result = result || jsonb_build_object('given_back_at', $2::text)"
            " where id = $1",
            row,
            at.isoformat(),
        )
    assert (await told(db, row))[-2:] == [("finished", "booked"), ("given_back", None)]


async def test_of_a_long_history_the_first_twenty_and_the_newest_stay(db: Functions) -> None:
    row = await created(db)
    for number in range(1, 251):
        await db.attach(row, 1, f"msg_{number}")

    events = await history(db, row)
    kept = [*range(1, 20), *range(71, 251)]
    assert [event.get("message_id") for event in events] == [None, *(f"msg_{number}" for number in kept)]
    assert len(events) == 200


async def test_anothers_history_is_not_found(db: Functions) -> None:
    row = await created(db)
    assert await db.call("read_history", id=row, user_email="bea@example.com") == {"outcome": "not_found"}
    assert (await db.call("read_history", id=row, user_email="ANA@example.com"))["outcome"] == "read"
    assert await db.call("read_history", id=uuid4()) == {"outcome": "not_found"}


async def test_a_history_is_removed_in_batches_before_its_row(db: Functions) -> None:
    row = await created(db)
    for number in range(24):
        await db.attach(row, 1, f"msg_{number}")
    await db.cancel(row)
    await db.at(datetime.fromisoformat((await db.row(row))["give_up_at"].isoformat()) + seconds(91 * 86400))

    told_of = [await db.call("remove_old_prebookings", days=90, limit=1) for _ in range(4)]
    assert [(one["removed"], one["more"]) for one in told_of] == [(0, True), (0, True), (1, True), (0, False)]
    assert await db.connection.fetchval("select count(*) from prebooking.history") == 0


async def test_a_browser_reads_what_happened_to_its_users_rows_alone(db: Functions) -> None:
    row = await created(db)
    shown = {}
    for email in ("ana@example.com", "bea@example.com"):
        claims = json.dumps({"role": "authenticated", "email": email})
        await db.connection.execute("select set_config('request.jwt.claims', $1, true)", claims)
        await db.connection.execute("set local role authenticated")
        events = await db.connection.fetch("select prebooking_id, event from public.prebooking_history")
        shown[email] = [tuple(event) for event in events]
        await db.connection.execute("reset role")
    assert shown == {"ana@example.com": [(row, "created")], "bea@example.com": []}
