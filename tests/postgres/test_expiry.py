"""What is over is ended by the claim that finds it so, with its true reason; what was begun is not."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.postgres.factories import BEGUN_BEFORE, GIVE_UP_AT, begun, claimed, parked, prebooking
from tests.postgres.functions import NOW, Functions, seconds

DAY = timedelta(hours=24)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ({"classTimeUTC": "2099-03-05T17:30:00Z"}, "2099-03-05T17:30:00+00:00"),
        ({"classTimeUTC": "2099-03-05T18:30:00+01:00"}, "2099-03-05T17:30:00+00:00"),
        ({"classTimeUTC": "2099-03-05T17:30:00"}, "2099-03-05T17:30:00+00:00"),
        ({}, "2099-03-06T12:00:00+00:00"),
        ({"classTimeUTC": ""}, "2099-03-06T12:00:00+00:00"),
        ({"classTimeUTC": None}, "2099-03-06T12:00:00+00:00"),
        ({"classTimeUTC": "half past six"}, "2099-03-06T12:00:00+00:00"),
        ({"classTimeUTC": "2099-13-45T99:00:00Z"}, "2099-03-06T12:00:00+00:00"),
        ({"classTimeUTC": 17}, "2099-03-06T12:00:00+00:00"),
        ({"classTimeUTC": {"hour": 17}}, "2099-03-06T12:00:00+00:00"),
        ({"day": 20990305}, "2099-03-06T12:00:00+00:00"),
        ({"day": "20990231"}, "2099-03-05T20:00:03+00:00"),
        ({"day": "tomorrow"}, "2099-03-05T20:00:03+00:00"),
        ({"day": None}, "2099-03-05T20:00:03+00:00"),
    ],
)
async def test_the_end_is_the_class_else_a_day_and_a_half_after_its_day_began(
    db: Functions, data: dict[str, Any], end: str
) -> None:
    await db.connection.execute("set local timezone = 'Europe/Madrid'")
    row = await prebooking(db, booking_data={"day": "20990305", "id": "7", **data})

    assert (await db.row(row))["give_up_at"] == datetime.fromisoformat(end)


@pytest.mark.parametrize("data", ["a string", ["a list"], None, 7])
async def test_what_nobody_can_read_ends_a_day_and_a_half_after_its_opening(db: Functions, data: Any) -> None:
    end = await db.connection.fetchval("select prebooking.give_up_at($1, $2)", data, NOW)

    assert end == NOW + timedelta(hours=36)


@pytest.mark.parametrize("word", ["infinity", "now", "tomorrow", "epoch", "allballs"])
async def test_a_word_that_the_database_takes_for_an_instant_is_no_class_time(db: Functions, word: str) -> None:
    """`infinity` would never end."""
    row = await prebooking(db, booking_data={"day": "20990305", "id": "7", "classTimeUTC": word})

    assert (await db.row(row))["give_up_at"] == datetime.fromisoformat("2099-03-06T12:00:00Z")


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"retry_at": GIVE_UP_AT + seconds(45)},
        {"available_at": GIVE_UP_AT + seconds(9)},
        {"status": "loaded"},
        claimed(uuid4()),
    ],
    ids=["pending", "released", "not due", "loaded", "claimed by one that died"],
)
async def test_an_unbegun_row_past_its_end_is_expired(db: Functions, state: dict[str, Any]) -> None:
    row = await prebooking(db, **state, last_message="The gym could not be reached.", last_outcome="gym_unreachable")
    await db.at(GIVE_UP_AT)

    answer = await db.claim(row, uuid4())

    shown = answer["prebooking"]
    assert (answer["outcome"], shown["status"], shown["error_code"]) == ("expired", "failed", "expired")
    assert "The gym could not be reached." in shown["error_message"]
    assert (shown["result"]["success"], shown["result"]["outcome"]) == (False, "expired")
    ended = await db.row(row)
    assert (ended["claim_token"], ended["lease_until"], ended["executed_at"]) == (None, None, GIVE_UP_AT)
    assert (await db.claim(row, uuid4()))["outcome"] == "already_finished"


async def test_a_row_is_not_over_while_its_claimer_holds_it(db: Functions) -> None:
    row = await prebooking(db, **claimed(uuid4(), lease_until=GIVE_UP_AT + seconds(1)))
    await db.at(GIVE_UP_AT)

    assert (await db.claim(row, uuid4()))["outcome"] == "held"


@pytest.mark.parametrize("state", [{"attempts": 5}, claimed(uuid4(), attempts=5, lease_until=NOW)])
async def test_a_row_whose_attempts_are_used_up_fails_with_its_last_true_reason(
    db: Functions, state: dict[str, Any]
) -> None:
    state = {"available_at": NOW - seconds(1), **state, "last_outcome": "blocked"}
    row = await prebooking(db, **state, last_message="The gym blocked the request.")

    answer = await db.claim(row, uuid4(), max_attempts=5)

    shown = answer["prebooking"]
    assert (answer["outcome"], shown["status"], shown["error_code"]) == ("blocked", "failed", "blocked")
    assert shown["error_message"] == shown["result"]["message"] == "The gym blocked the request."


async def test_a_row_whose_attempts_left_no_reason_says_that(db: Functions) -> None:
    row = await prebooking(db, attempts=5)

    assert (await db.claim(row, uuid4(), max_attempts=6))["outcome"] == "claimed"

    other = await prebooking(db, attempts=5)
    answer = await db.claim(other, uuid4(), max_attempts=5)
    assert (answer["outcome"], answer["prebooking"]["error_code"]) == ("attempts_exhausted", "attempts_exhausted")


async def test_the_result_of_an_ended_row_has_every_field_and_tells_of_its_first_shot(db: Functions) -> None:
    shots: list[dict[str, Any]] = [
        {"fired_at": "2099-03-04T08:00:03.001500Z", "answered_at": "2099-03-04T08:00:03.2Z", "outcome": "blocked"},
        {"fired_at": "2099-03-04T08:00:09Z", "answered_at": None, "outcome": "no_answer"},
    ]
    row = await prebooking(db, attempts=5, shots=shots, last_outcome="blocked")

    result = (await db.claim(row, uuid4()))["prebooking"]["result"]

    assert set(result) == {"success", "outcome", "bookingId", "bookState", "message", "timings"}
    timings = result["timings"]
    assert set(timings) == {
        *("delivered_at", "claimed_at", "ready_at", "fired_at", "fire_lateness_ms"),
        *("answered_at", "response_ms", "clock_offset_ms", "shots"),
    }
    assert (timings["shots"], timings["fired_at"]) == (shots, shots[0]["fired_at"])
    assert timings["fire_lateness_ms"] == 1.5


async def test_a_row_that_never_fired_has_no_lateness(db: Functions) -> None:
    row = await prebooking(db, attempts=5)

    timings = (await db.claim(row, uuid4()))["prebooking"]["result"]["timings"]

    assert (timings["fired_at"], timings["fire_lateness_ms"], timings["shots"]) == (None, None, [])


@pytest.mark.parametrize("state", [begun, parked])
async def test_a_begun_row_is_settled_until_a_day_after_its_end_and_then_unknown_with_its_mark(
    db: Functions, state: Any
) -> None:
    row = await prebooking(db, **state(BEGUN_BEFORE, attempts=5))
    await db.at(GIVE_UP_AT + DAY - seconds(0.001))
    claim = await db.claim(row, uuid4())
    assert (claim["outcome"], claim["settle_only"]) == ("claimed", True)

    await db.at(GIVE_UP_AT + DAY + seconds(10))
    answer = await db.claim(row, uuid4())

    shown = answer["prebooking"]
    assert (answer["outcome"], shown["status"], shown["error_code"]) == ("outcome_unknown", "failed", "outcome_unknown")
    kept = await db.row(row)
    assert (kept["begun_token"], kept["booking_started_at"]) == (BEGUN_BEFORE, NOW - seconds(1))
    assert (kept["claim_token"], kept["lease_until"]) == (None, None)


async def test_the_old_crons_execution_is_unknown_a_day_after_its_end(db: Functions) -> None:
    row = await prebooking(db, status="executing")
    await db.at(GIVE_UP_AT + DAY)

    assert (await db.claim(row, uuid4()))["outcome"] == "outcome_unknown"
