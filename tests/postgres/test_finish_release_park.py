"""Finish, release, park: how an execution ends, fenced by the token of its claim."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import (
    BEGUN_BEFORE,
    GIVE_UP_AT,
    STATES,
    Columns,
    begun,
    claimed,
    parked,
    prebooking,
    settling,
)
from tests.postgres.functions import NOW, Functions, seconds

SHOT = {"fired_at": "2099-03-04T08:00:03.001Z", "answered_at": None, "outcome": "no_answer"}
HELD = [claimed, begun, settling, parked]


async def clean(db: Functions, row: UUID) -> bool:
    """No claim, lease or mark is left."""
    columns = ("claim_token", "lease_until", "booking_started_at", "begun_token", "retry_at")
    now = await db.row(row)
    return [now[name] for name in columns] == 5 * [None]


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("outcome", ["booked", "waiting_list", "class_full"])
async def test_a_finish_writes_the_result_and_clears_claim_and_mark(
    db: Functions, state: Callable[..., Columns], outcome: str
) -> None:
    token = uuid4()
    row = await prebooking(db, **state(token))

    answer = await db.finish(row, token, outcome, "The gym's words.")

    success = outcome != "class_full"
    shown = answer["prebooking"]
    assert (answer["outcome"], shown["status"]) == ("finished", "completed" if success else "failed")
    assert shown["result"] == {"success": success, "outcome": outcome}
    assert shown["error_code"] == (None if success else outcome)
    assert shown["error_message"] == (None if success else "The gym's words.")
    assert (await db.row(row))["executed_at"] == NOW
    assert await clean(db, row)


async def test_a_finish_repeated_with_its_token_gets_the_same_answer_whatever_it_says_now(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **begun(token))
    first = await db.finish(row, token)
    finished = await db.row(row)
    await db.at(NOW + seconds(1))

    assert await db.finish(row, token) == first
    assert await db.finish(row, token, "class_full") == first
    assert await db.row(row) == finished


async def test_finishing_as_an_unknown_outcome_keeps_the_mark(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **begun(token))

    answer = await db.finish(row, token, "outcome_unknown")

    assert answer["prebooking"]["error_code"] == "outcome_unknown"
    kept = await db.row(row)
    assert (kept["begun_token"], kept["booking_started_at"]) == (token, NOW - seconds(1))


@pytest.mark.parametrize("ending", ["finish", "release", "park"])
@pytest.mark.parametrize("state", STATES)
async def test_a_stranger_ends_nothing(db: Functions, state: str, ending: str) -> None:
    row = await prebooking(db, **STATES[state](uuid4()))
    before = await db.row(row)

    assert (await getattr(db, ending)(row, uuid4()))["outcome"] == "lost"
    assert await db.row(row) == before


@pytest.mark.parametrize("ending", ["finish", "release", "park"])
async def test_an_unknown_row_is_not_ended(db: Functions, ending: str) -> None:
    assert (await getattr(db, ending)(uuid4(), uuid4()))["outcome"] == "unknown_prebooking"


async def test_who_released_is_not_told_that_it_finished_what_the_old_cron_finished_since(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    await db.release(row, token)
    await db.connection.execute("update public.prebookings set status = 'completed' where id = $1", row)

    assert (await db.finish(row, token))["outcome"] == "lost"


async def test_who_parked_is_not_told_that_it_finished_what_was_ended_as_unknown_since(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **begun(token))
    await db.park(row, token)
    await db.at(GIVE_UP_AT + timedelta(hours=24))
    await db.claim(row, uuid4())

    assert (await db.finish(row, token))["outcome"] == "lost"


@pytest.mark.parametrize("state", [claimed, begun, parked])
async def test_a_release_makes_it_pending_again_with_its_reason_and_its_shots(
    db: Functions, state: Callable[..., Columns]
) -> None:
    token = uuid4()
    row = await prebooking(db, **state(token))

    answer = await db.release(row, token, "blocked", "Slow down.", shots=[SHOT], retry=5)

    assert (answer["outcome"], answer["retry_after"]) == ("released", 5)
    assert (answer["prebooking"]["status"], answer["prebooking"]["attempts"]) == ("pending", 1)
    released = await db.row(row)
    assert (released["retry_at"], released["shots"]) == (NOW + seconds(5), [SHOT])
    assert (released["last_outcome"], released["last_message"], released["parks"]) == ("blocked", "Slow down.", 0)
    await db.connection.execute("update public.prebookings set retry_at = null where id = $1", row)
    assert await clean(db, row)


async def test_a_release_repeated_with_its_token_gets_the_same_answer(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    first = await db.release(row, token, "blocked", "Slow down.", retry=5)
    released = await db.row(row)

    assert await db.release(row, token, "blocked", "Slow down.", retry=5) == first
    assert await db.row(row) == released


async def test_a_release_without_a_reason_keeps_the_last_true_one(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token, last_outcome="too_early", last_message="Not yet."))

    await db.release(row, token)

    released = await db.row(row)
    assert (released["last_outcome"], released["last_message"]) == ("too_early", "Not yet.")


@pytest.mark.parametrize(
    ("graceful", "attempts"), [(True, 0), (False, 1)], ids=["a stop on our side", "the gym's doing"]
)
async def test_a_graceful_release_is_no_attempt(db: Functions, graceful: bool, attempts: int) -> None:  # noqa: FBT001  # a parameter of the case
    row, token = await prebooking(db), uuid4()
    await db.claim(row, token)

    released = await db.release(row, token, graceful=graceful)

    assert released["prebooking"]["attempts"] == attempts


async def test_releasing_a_settling_claim_gives_no_attempt_back(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **settling(token, attempts=3))

    released = await db.release(row, token, graceful=True, settled=True)

    assert (released["outcome"], released["prebooking"]["attempts"]) == ("released", 3)


async def test_a_begin_mark_that_was_found_and_not_settled_cannot_be_released(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **settling(token))
    before = await db.row(row)

    assert (await db.release(row, token, graceful=True))["outcome"] == "unsettled"
    assert await db.row(row) == before


async def test_a_parked_row_stays_executing_with_its_mark_until_its_begins_lease_ends(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **begun(token, lease_until=NOW + seconds(18)))

    answer = await db.park(row, token, "gym_unreachable", "No answer.", shots=[SHOT])

    assert (answer["outcome"], answer["retry_after"]) == ("parked", 18)
    kept = await db.row(row)
    assert (kept["status"], kept["begun_token"], kept["lease_until"]) == ("executing", token, NOW + seconds(18))
    assert (kept["parks"], kept["shots"], kept["last_outcome"]) == (1, [SHOT], "gym_unreachable")
    assert (await db.cancel(row))["outcome"] == "booking_in_progress"


@pytest.mark.parametrize("retry", [0, 15, 45, 300])
async def test_a_settling_claim_is_parked_for_as_long_as_it_says(db: Functions, retry: float) -> None:
    token = uuid4()
    row = await prebooking(db, **settling(token, parks=2))

    answer = await db.park(row, token, retry=retry)

    assert answer["retry_after"] == retry
    kept = await db.row(row)
    assert (kept["begun_token"], kept["lease_until"], kept["parks"]) == (BEGUN_BEFORE, NOW + seconds(retry), 3)
    await db.at(NOW + seconds(retry))
    assert (await db.claim(row, uuid4()))["begun"] is True


async def test_parking_never_ends_the_lease_of_its_own_begin_early(db: Functions) -> None:
    """Until then the request may still arrive at the gym."""
    token = uuid4()
    row = await prebooking(db, **begun(token, lease_until=NOW + seconds(18)))

    await db.park(row, token, retry=0)

    assert (await db.claim(row, uuid4()))["outcome"] == "held"


async def test_a_park_repeated_with_its_token_gets_the_same_answer_and_counts_once(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **begun(token))
    first = await db.park(row, token, "gym_unreachable")
    kept = await db.row(row)

    assert await db.park(row, token, "gym_unreachable") == first
    assert await db.row(row) == kept
