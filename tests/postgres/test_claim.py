"""Claim: the exclusive, leased right to execute; who gets it, who is refused and why."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import (
    BEGUN_BEFORE,
    GIVE_UP_AT,
    OPENING,
    STATES,
    begun,
    claimed,
    parked,
    prebooking,
    session,
)
from tests.postgres.functions import NOW, Answer, Functions, seconds

NOBODY = UUID(int=0)


async def unchanged(db: Functions, row: UUID, before: dict[str, object]) -> bool:
    return await db.row(row) == before


async def test_a_claim_says_all_that_the_execution_needs(db: Functions) -> None:
    row = await prebooking(db, last_outcome="too_early", last_message="Not yet.", shots=[{"fired_at": "x"}])
    session_id = await session(db)

    claim = await db.claim(row, uuid4(), 1)

    assert (claim["outcome"], claim["prebooking"]["status"]) == ("claimed", "executing")
    assert claim["prebooking"]["attempts"] == 1
    assert datetime.fromisoformat(claim["now"]) == NOW
    assert datetime.fromisoformat(claim["give_up_at"]) == GIVE_UP_AT
    assert (claim["begun"], claim["settle_only"]) == (False, False)
    assert (claim["last_outcome"], claim["last_message"]) == ("too_early", "Not yet.")
    assert (claim["shots"], claim["parks"]) == ([{"fired_at": "x"}], 0)
    assert claim["session"]["id"] == str(session_id)
    assert claim["session"]["cookies"] == [{"name": "amhrdrauth", "value": "v1"}]


@pytest.mark.parametrize(
    ("opens_in", "lease"),
    [(3, 5), (4, 5), (4.5, 5.5), (-60, 5)],
    ids=["5 s from now", "both the same", "1 s after the opening", "opened long ago"],
)
async def test_the_lease_lasts_5_s_and_at_least_1_s_past_the_opening(
    db: Functions, opens_in: float, lease: float
) -> None:
    row, token = await prebooking(db, available_at=NOW + seconds(opens_in)), uuid4()

    await db.claim(row, token)

    held = await db.row(row)
    assert (held["claim_token"], held["lease_until"]) == (token, NOW + seconds(lease))


async def test_a_claim_repeated_with_its_token_gets_the_same_answer_and_counts_once(db: Functions) -> None:
    row, token = await prebooking(db), uuid4()
    first = await db.claim(row, token, 1)
    claimed_row = await db.row(row)

    assert await db.claim(row, token, 1) == first
    assert await unchanged(db, row, claimed_row)


async def test_a_held_row_is_refused_until_its_lease_ends(db: Functions) -> None:
    row, first, second = await prebooking(db), uuid4(), uuid4()
    await db.claim(row, first)
    held = await db.row(row)

    await db.at(NOW + seconds(4))
    refused = await db.claim(row, second)
    assert (refused["outcome"], refused["retry_after"]) == ("held", 1)
    assert await unchanged(db, row, held)

    await db.at(NOW + seconds(5))
    taken = await db.claim(row, second)
    assert (taken["outcome"], taken["begun"], taken["prebooking"]["attempts"]) == ("claimed", False, 2)


async def test_the_one_whose_claim_was_taken_over_can_change_nothing(db: Functions) -> None:
    row, first, second = await prebooking(db), uuid4(), uuid4()
    await db.claim(row, first)
    await db.at(NOW + seconds(5))
    await db.claim(row, second)
    held = await db.row(row)

    answers = [
        await db.begin(row, first),
        await db.finish(row, first),
        await db.finish(row, first, "class_full"),
        await db.release(row, first),
        await db.park(row, first, retry=0),
    ]

    assert [a["outcome"] for a in answers] == 5 * ["lost"]
    assert (await db.claim(row, first))["outcome"] == "already_ended"
    assert await unchanged(db, row, held)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("completed", "already_finished"),
        ("failed", "already_finished"),
        ("outcome unknown", "already_finished"),
        ("cancelled", "cancelled"),
        ("released", "retry_later"),
        ("not due", "not_due"),
        ("begun", "held"),
        ("the old cron's", "held"),
    ],
)
async def test_a_refusal_says_why_and_changes_nothing(db: Functions, state: str, reason: str) -> None:
    row = await prebooking(db, **STATES[state](uuid4()))
    before = await db.row(row)

    refused = await db.claim(row, uuid4(), 1)

    assert refused["outcome"] == reason
    assert await unchanged(db, row, before)


async def test_an_unknown_row_is_refused(db: Functions) -> None:
    assert (await db.claim(uuid4(), uuid4()))["outcome"] == "unknown_prebooking"


@pytest.mark.parametrize(("version", "outcome"), [(1, "stale"), (3, "stale"), (2, "claimed"), (None, "claimed")])
async def test_a_message_of_another_version_rings_for_nothing(db: Functions, version: int | None, outcome: str) -> None:
    row = await prebooking(db, version=2)

    assert (await db.claim(row, uuid4(), version))["outcome"] == outcome


@pytest.mark.parametrize(
    ("early_by", "outcome"), [(5.001, "not_due"), (5, "claimed"), (0, "claimed"), (-60, "claimed")]
)
async def test_a_row_is_due_within_the_horizon_of_its_caller(db: Functions, early_by: float, outcome: str) -> None:
    row = await prebooking(db)
    await db.at(OPENING - seconds(early_by))

    answer = await db.claim(row, uuid4(), horizon=5)

    assert answer["outcome"] == outcome
    assert answer.get("retry_after") == (early_by if outcome == "not_due" else None)


async def test_a_released_row_waits_for_its_next_try(db: Functions) -> None:
    row, token = await prebooking(db), uuid4()
    await db.claim(row, token)
    await db.release(row, token, "blocked", "Slow down.", retry=2)

    early = await db.claim(row, uuid4())
    await db.at(NOW + seconds(2))
    again = await db.claim(row, uuid4())

    assert (early["outcome"], early["retry_after"]) == ("retry_later", 2)
    assert (again["outcome"], again["last_outcome"]) == ("claimed", "blocked")


async def test_a_late_copy_of_a_claim_that_was_released_claims_nothing(db: Functions) -> None:
    row, token = await prebooking(db), uuid4()
    await db.claim(row, token)
    await db.release(row, token)
    released = await db.row(row)

    assert (await db.claim(row, token))["outcome"] == "already_ended"
    assert await unchanged(db, row, released)


async def test_a_late_copy_of_a_claim_that_was_lost_to_another_does_not_bring_its_token_back(db: Functions) -> None:
    row, token, other = await prebooking(db), uuid4(), uuid4()
    await db.claim(row, token)
    await db.at(NOW + seconds(5))
    await db.claim(row, other)
    await db.begin(row, other)
    await db.at(NOW + seconds(60))
    lost = await db.row(row)

    assert (await db.claim(row, token))["outcome"] == "already_ended"
    assert await unchanged(db, row, lost)


async def settling_claim(db: Functions, row: UUID) -> Answer:
    claim = await db.claim(row, uuid4())
    assert (claim["outcome"], claim["begun"]) == ("claimed", True)
    return claim


async def test_a_begun_row_is_claimed_to_be_settled_and_that_is_no_attempt(db: Functions) -> None:
    row = await prebooking(db, **begun(BEGUN_BEFORE, lease_until=NOW))

    claim = await settling_claim(db, row)

    assert (claim["prebooking"]["attempts"], claim["settle_only"]) == (1, False)
    kept = await db.row(row)
    assert (kept["begun_token"], kept["booking_started_at"]) == (BEGUN_BEFORE, NOW - seconds(1))


@pytest.mark.parametrize("columns", [{"attempts": 5}, {"give_up_at": NOW}], ids=["attempts used up", "over"])
async def test_what_may_not_begin_again_is_claimed_only_to_be_settled(
    db: Functions, columns: dict[str, object]
) -> None:
    row = await prebooking(db, **parked(BEGUN_BEFORE, **columns))

    assert (await settling_claim(db, row))["settle_only"] is True


async def test_a_parked_row_is_not_claimed_before_its_begins_lease_ends(db: Functions) -> None:
    row, token = await prebooking(db), uuid4()
    await db.claim(row, token)
    await db.begin(row, token, lease=20)
    await db.park(row, token)
    await db.at(NOW + seconds(19.9))

    assert (await db.claim(row, uuid4()))["outcome"] == "held"
    await db.at(NOW + seconds(20))
    await settling_claim(db, row)


async def test_the_old_crons_execution_counts_as_begun_and_may_be_settled_after_two_minutes(db: Functions) -> None:
    row = await prebooking(db, status="executing", available_at=NOW - seconds(119))

    held = await db.claim(row, uuid4())
    await db.at(NOW + seconds(1))
    claim = await settling_claim(db, row)

    assert (held["outcome"], held["retry_after"]) == ("held", 1)
    assert claim["prebooking"]["attempts"] == 0
    marked = await db.row(row)
    assert (marked["begun_token"], marked["booking_started_at"]) == (NOBODY, NOW - seconds(119))


async def test_a_claim_of_a_row_whose_claimer_died_unbegun_counts_again(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW - seconds(1), **claimed(uuid4(), lease_until=NOW))

    claim = await db.claim(row, uuid4())

    assert (claim["begun"], claim["prebooking"]["attempts"]) == (False, 2)


async def test_a_claim_that_was_lost_before_its_opening_was_no_attempt(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW + seconds(50))
    for kills in range(8):
        await db.at(NOW + seconds(5 * kills))
        claim = await db.claim(row, uuid4(), horizon=98, max_attempts=5, lease=5)
        assert (claim["outcome"], claim["prebooking"]["attempts"]) == ("claimed", 1)


async def test_claiming_a_retried_unknown_outcome_before_it_is_due_is_refused(db: Functions) -> None:
    row = await prebooking(db, **{**STATES["pending with a mark"](uuid4()), "available_at": NOW + timedelta(hours=1)})

    assert (await db.claim(row, uuid4()))["outcome"] == "not_due"
