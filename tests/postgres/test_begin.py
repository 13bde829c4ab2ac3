"""Begin: the recorded intent to send the request, the last word before it leaves."""

from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import BEGUN_BEFORE, GIVE_UP_AT, STATES, begun, claimed, parked, prebooking, settling
from tests.postgres.functions import NOW, Functions, seconds


async def test_begin_marks_the_row_and_leases_it_past_the_deadline(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))

    answer = await db.begin(row, token, lease=19.5)

    assert (answer["outcome"], answer["prebooking"]["attempts"]) == ("begun", 1)
    marked = await db.row(row)
    assert (marked["booking_started_at"], marked["begun_token"]) == (NOW, token)
    assert marked["lease_until"] == NOW + seconds(19.5)


async def test_a_begin_repeated_with_its_token_gets_the_same_answer_and_the_same_lease(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    first = await db.begin(row, token)
    marked = await db.row(row)
    await db.at(NOW + seconds(1))

    assert await db.begin(row, token) == first
    assert await db.row(row) == marked


async def test_begin_holds_though_its_claims_lease_ended_if_nobody_took_it(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token, lease_until=NOW - seconds(60)))

    assert (await db.begin(row, token))["outcome"] == "begun"


async def test_begin_wins_over_a_cancel_that_comes_after_it(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token))
    await db.begin(row, token)

    assert (await db.cancel(row))["outcome"] == "booking_in_progress"


@pytest.mark.parametrize("state", STATES)
async def test_a_stranger_begins_nothing(db: Functions, state: str) -> None:
    row = await prebooking(db, **STATES[state](uuid4()))
    before = await db.row(row)

    assert (await db.begin(row, uuid4(), settled=True))["outcome"] == ("cancelled" if state == "cancelled" else "lost")
    assert await db.row(row) == before


async def test_an_unknown_row_is_not_begun(db: Functions) -> None:
    assert (await db.begin(uuid4(), uuid4()))["outcome"] == "unknown_prebooking"


async def test_what_began_before_must_be_settled_before_it_begins_again(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **settling(token))
    before = await db.row(row)

    assert (await db.begin(row, token))["outcome"] == "unsettled"
    assert await db.row(row) == before


async def test_a_settling_claim_counts_once_it_begins_again(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **settling(token))

    first = await db.begin(row, token, settled=True)

    assert (first["outcome"], first["prebooking"]["attempts"]) == ("begun", 2)
    assert await db.begin(row, token, settled=True) == first
    assert (await db.row(row))["begun_token"] == token


@pytest.mark.parametrize("claim", [claimed, settling])
async def test_nothing_begins_once_the_class_is_over(db: Functions, claim: type) -> None:
    token = uuid4()
    row = await prebooking(db, **claim(token))
    before = await db.row(row)
    await db.at(GIVE_UP_AT)

    assert (await db.begin(row, token, settled=True))["outcome"] == "expired"
    assert await db.row(row) == before


async def test_the_last_attempt_may_begin_and_a_settling_claim_after_it_may_not(db: Functions) -> None:
    last, settler = uuid4(), uuid4()
    row = await prebooking(db, **claimed(last, attempts=5))

    assert (await db.begin(row, last))["outcome"] == "begun"

    other = await prebooking(db, **settling(settler, attempts=5))
    before = await db.row(other)
    assert (await db.begin(other, settler, settled=True))["outcome"] == "attempts_exhausted"
    assert await db.row(other) == before


@pytest.mark.parametrize("state", [begun, parked])
async def test_a_claim_that_found_a_mark_and_its_begin_say_the_mark_is_anothers(db: Functions, state: type) -> None:
    token = uuid4()
    row = await prebooking(db, **state(BEGUN_BEFORE, lease_until=NOW))

    claim = await db.claim(row, token)
    await db.begin(row, token, settled=True)
    repeated = await db.claim(row, token)

    assert (claim["begun"], repeated["begun"]) == (True, False)
    assert UUID(str((await db.row(row))["begun_token"])) == token
