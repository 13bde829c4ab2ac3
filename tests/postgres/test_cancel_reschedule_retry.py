"""Cancel, reschedule, retry: what a user may still change, and who may."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from tests.postgres.factories import (
    BEGUN_BEFORE,
    GIVE_UP_AT,
    OPENING,
    STATES,
    booking_data,
    claimed,
    failed,
    outcome_unknown,
    prebooking,
)
from tests.postgres.functions import NOW, Functions, seconds

LATER = NOW + timedelta(hours=1)

PENDING = [
    "pending",
    "not due",
    "loaded by the old cron",
    "released",
    "pending with a mark",
    "attempts used up",
    "over",
]
UNBEGUN = ["claimed", "claimed, lease ended"]
BEGUN = ["begun", "settling", "parked", "the old cron's", "the old cron's, over 2 min"]
FAILED = ["failed", "outcome unknown", "failed by the old cron"]


@pytest.mark.parametrize("state", [*PENDING, *UNBEGUN])
async def test_what_is_not_begun_can_always_be_cancelled_and_again(db: Functions, state: str) -> None:
    row = await prebooking(db, **STATES[state](uuid4()), qstash_schedule_id="msg-1")

    cancelled = await db.cancel(row, "ANA@example.com")

    assert (cancelled["outcome"], cancelled["prebooking"]["status"]) == ("cancelled", "cancelled")
    assert cancelled["prebooking"]["qstash_schedule_id"] == "msg-1"
    assert await db.cancel(row) == cancelled


@pytest.mark.parametrize(
    ("states", "reason"), [(BEGUN, "booking_in_progress"), ([*FAILED, "completed"], "already_finished")]
)
async def test_what_is_begun_or_finished_cannot_be_cancelled(db: Functions, states: list[str], reason: str) -> None:
    for state in states:
        row = await prebooking(db, **STATES[state](uuid4()))
        before = await db.row(row)

        assert ((await db.cancel(row))["outcome"], state) == (reason, state)
        assert await db.row(row) == before


@pytest.mark.parametrize("lost", ["begin", "finish", "release", "park"])
async def test_the_claimer_of_a_cancelled_row_can_do_nothing_more(db: Functions, lost: str) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    await db.cancel(row)

    answer = await getattr(db, lost)(row, token)

    assert answer["outcome"] == ("cancelled" if lost == "begin" else "lost")
    assert answer["prebooking"]["status"] == "cancelled"
    assert (await db.claim(row, token))["outcome"] == "cancelled"


@pytest.mark.parametrize("change", ["cancel", "reschedule", "retry"])
async def test_anothers_row_looks_like_a_missing_one(db: Functions, change: str) -> None:
    row = await prebooking(db)
    arguments = [LATER] if change != "cancel" else []

    for prebooking_id, user in ((row, "bea@example.com"), (uuid4(), "ana@example.com")):
        answer = await getattr(db, change)(prebooking_id, *arguments, user_email=user)
        assert answer == {"outcome": "not_found"}


@pytest.mark.parametrize("state", [s for s in PENDING if s != "over"])
async def test_a_pending_row_moves_to_its_new_opening_as_a_new_version(db: Functions, state: str) -> None:
    row = await prebooking(db, **STATES[state](uuid4()), qstash_schedule_id="msg-1", scheduled_version=1)
    marked = (await db.row(row))["begun_token"]

    moved = await db.reschedule(row, LATER + seconds(1))

    assert (moved["outcome"], moved["replaced_message_id"]) == ("rescheduled", "msg-1")
    shown, now = moved["prebooking"], await db.row(row)
    assert (shown["status"], shown["version"], shown["qstash_schedule_id"]) == ("pending", 2, None)
    assert datetime.fromisoformat(shown["available_at"]) == LATER + seconds(1)
    assert (now["armed_at"], now["retry_at"], now["begun_token"]) == (NOW, None, marked)
    assert (await db.claim(row, uuid4(), 1, horizon=7200))["outcome"] == "stale"


async def test_a_move_repeated_after_a_lost_answer_changes_nothing_more(db: Functions) -> None:
    row = await prebooking(db)
    first = await db.reschedule(row, LATER)
    moved = await db.row(row)

    again = await db.reschedule(row, LATER)

    assert (again["outcome"], again["prebooking"]) == ("rescheduled", first["prebooking"])
    assert await db.row(row) == moved


async def test_a_moved_row_forgets_the_shots_at_its_old_opening(db: Functions) -> None:
    """Else the lateness of its first shot would be told of one that was fired at another opening."""
    shot = {"fired_at": "2099-03-04T07:59:00Z", "answered_at": None, "outcome": "too_early"}
    row = await prebooking(db, available_at=NOW - seconds(60), shots=[shot], last_outcome="too_early", attempts=1)

    await db.reschedule(row, OPENING)

    moved = await db.row(row)
    assert (moved["shots"], moved["last_outcome"]) == ([], None)


@pytest.mark.parametrize("change", ["reschedule", "retry"])
@pytest.mark.parametrize("to", [GIVE_UP_AT, GIVE_UP_AT + timedelta(days=1)])
async def test_nothing_moves_to_an_opening_at_or_after_its_end(db: Functions, change: str, to: datetime) -> None:
    row = await prebooking(db, **(failed() if change == "retry" else {}))
    before = await db.row(row)

    refused = await getattr(db, change)(row, to)

    assert refused["outcome"] == "too_late"
    assert datetime.fromisoformat(refused["give_up_at"]) == GIVE_UP_AT
    assert await db.row(row) == before


@pytest.mark.parametrize("change", ["reschedule", "retry"])
async def test_nothing_moves_once_its_class_has_started(db: Functions, change: str) -> None:
    row = await prebooking(db, **(failed() if change == "retry" else {}))
    await db.at(GIVE_UP_AT)

    assert (await getattr(db, change)(row, NOW))["outcome"] == "too_late"


@pytest.mark.parametrize(
    ("states", "reason"),
    [([*UNBEGUN, *BEGUN], "booking_in_progress"), ([*FAILED, "completed", "cancelled"], "already_finished")],
)
async def test_only_a_pending_row_can_be_moved(db: Functions, states: list[str], reason: str) -> None:
    for state in states:
        row = await prebooking(db, **STATES[state](uuid4()))
        before = await db.row(row)

        assert ((await db.reschedule(row, LATER))["outcome"], state) == (reason, state)
        assert await db.row(row) == before


@pytest.mark.parametrize("to", [None, LATER])
@pytest.mark.parametrize("state", ["failed", "failed by the old cron"])
async def test_a_failed_row_starts_anew_as_a_new_version(db: Functions, state: str, to: datetime | None) -> None:
    row = await prebooking(db, **{**STATES[state](uuid4()), "attempts": 5}, qstash_schedule_id="msg-1")

    retried = await db.retry(row, to)

    assert (retried["outcome"], retried["replaced_message_id"]) == ("retried", "msg-1")
    shown = retried["prebooking"]
    assert (shown["status"], shown["version"], shown["attempts"]) == ("pending", 2, 0)
    assert (shown["result"], shown["error_code"], shown["error_message"], shown["executed_at"]) == (None,) * 4
    assert datetime.fromisoformat(shown["available_at"]) == (to or OPENING)
    assert (await db.row(row))["armed_at"] == NOW
    token = uuid4()
    claim = await db.claim(row, token, 2, horizon=7200)
    assert (claim["outcome"], claim["begun"], claim["shots"], claim["parks"]) == ("claimed", False, [], 0)


async def test_a_repeated_retry_gets_the_first_ones_answer_and_changes_nothing(db: Functions) -> None:
    row, token = await prebooking(db, **failed(), qstash_schedule_id="msg-1"), uuid4()
    first = await db.retry(row, token=token)
    before = await db.row(row)

    assert await db.retry(row, token=token) == first
    assert await db.row(row) == before


async def test_a_retried_unknown_outcome_keeps_its_mark_and_is_settled_first(db: Functions) -> None:
    row = await prebooking(db, **outcome_unknown())
    token = uuid4()

    assert (await db.retry(row))["outcome"] == "retried"

    kept = await db.row(row)
    assert (kept["status"], kept["begun_token"]) == ("pending", BEGUN_BEFORE)
    claim = await db.claim(row, token)
    assert (claim["outcome"], claim["begun"], claim["prebooking"]["attempts"]) == ("claimed", True, 0)
    assert (await db.begin(row, token))["outcome"] == "unsettled"


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        (PENDING, "not_failed"),
        ([*UNBEGUN, *BEGUN], "booking_in_progress"),
        (["completed", "cancelled"], "already_finished"),
    ],
)
async def test_only_a_failed_row_can_be_retried(db: Functions, states: list[str], reason: str) -> None:
    for state in states:
        row = await prebooking(db, **STATES[state](uuid4()))
        before = await db.row(row)

        assert ((await db.retry(row))["outcome"], state) == (reason, state)
        assert await db.row(row) == before


async def test_a_failed_row_cannot_be_retried_while_its_wish_is_active_again(db: Functions) -> None:
    wanted = booking_data()
    row = await prebooking(db, **failed(), booking_data=wanted)
    active = await prebooking(db, booking_data=wanted)
    before = await db.row(row)

    refused = await db.retry(row)

    assert (refused["outcome"], refused["prebooking"]["id"]) == ("exists", str(active))
    assert await db.row(row) == before
