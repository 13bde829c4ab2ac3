"""Leases until begin: short, prolonged by their holder alone, and no news to anybody."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import BEGUN_BEFORE, STATES, begun, claimed, parked, prebooking, settling
from tests.postgres.functions import NOW, Functions, Many, seconds


async def lease(db: Functions, row: UUID) -> float:
    """Seconds from NOW."""
    until = (await db.row(row))["lease_until"]
    return float((until - NOW).total_seconds())


@pytest.mark.parametrize("opens_in", [3, 60, -60])
async def test_a_claim_has_the_lease_that_its_caller_asks_for(db: Functions, opens_in: float) -> None:
    row = await prebooking(db, available_at=NOW + seconds(opens_in))

    await db.claim(row, uuid4(), horizon=98, lease=5)

    assert await lease(db, row) == 5


async def test_a_caller_that_knows_no_leases_gets_that_of_old(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW + seconds(60))

    await db.claim(row, uuid4(), horizon=98)

    assert await lease(db, row) == 61


async def test_a_claim_that_is_repeated_prolongs_its_lease_and_counts_once(db: Functions) -> None:
    row, token = await prebooking(db), uuid4()
    await db.claim(row, token, lease=5)
    await db.at(NOW + seconds(4))

    again = await db.claim(row, token, lease=5)

    assert (again["outcome"], again["prebooking"]["attempts"]) == ("claimed", 1)
    assert await lease(db, row) == 9


@pytest.mark.parametrize("state", [begun, parked])
async def test_a_claim_that_is_repeated_late_prolongs_nothing_else(db: Functions, state: type) -> None:
    token = uuid4()
    row = await prebooking(db, **state(token))
    before = await db.row(row)

    await db.claim(row, token, lease=60)

    assert await db.row(row) == before


async def test_one_call_prolongs_all_that_its_caller_holds(db: Functions) -> None:
    held = {await prebooking(db, **claimed(token)): token for token in (uuid4() for _ in range(3))}
    settler = uuid4()
    held[await prebooking(db, **settling(settler))] = settler

    answer = await db.renew(held, lease=9)

    assert (answer["outcome"], answer["lost"]) == ("renewed", [])
    assert [await lease(db, row) for row in held] == [9, 9, 9, 9]


async def test_a_lease_is_never_shortened(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token, lease_until=NOW + seconds(61)))

    await db.renew({row: token})

    assert await lease(db, row) == 61


async def test_a_lease_that_ended_is_prolonged_if_nobody_took_the_row(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **claimed(token, lease_until=NOW - seconds(60)))

    assert (await db.renew({row: token}))["lost"] == []
    assert await lease(db, row) == 5
    assert (await db.claim(row, uuid4()))["outcome"] == "held"


@pytest.mark.parametrize("state", STATES)
async def test_a_stranger_prolongs_nothing_and_is_told_so(db: Functions, state: str) -> None:
    row, token = await prebooking(db, **STATES[state](uuid4())), uuid4()
    before = await db.row(row)

    [lost] = (await db.renew({row: token}))["lost"]

    assert lost["token"] == str(token)
    assert lost["outcome"] == ("cancelled" if state == "cancelled" else "lost")
    assert lost["prebooking"]["id"] == str(row)
    assert await db.row(row) == before


async def test_what_was_begun_keeps_its_begins_lease(db: Functions) -> None:
    token = uuid4()
    row = await prebooking(db, **begun(token))
    before = await db.row(row)

    assert (await db.renew({row: token}, lease=60))["lost"] == []
    assert await db.row(row) == before


@pytest.mark.parametrize("state", ["released", "parked", "completed", "failed"])
async def test_a_renewal_that_comes_after_the_end_of_its_claim_prolongs_nothing(db: Functions, state: str) -> None:
    token = uuid4()
    row = await prebooking(db, **STATES[state](token))
    before = await db.row(row)

    [lost] = (await db.renew({row: token}, lease=60))["lost"]

    assert lost["outcome"] == "lost"
    assert await db.row(row) == before


async def test_a_renewal_tells_of_a_cancel_a_takeover_and_a_deleted_row(db: Functions) -> None:
    rows = [await prebooking(db) for _ in range(3)]
    held = {row: uuid4() for row in (*rows, uuid4())}
    for row in rows:
        await db.claim(row, held[row], lease=5)
    mine, cancelled, taken, deleted = held
    await db.cancel(cancelled)
    await db.at(NOW + seconds(6))
    await db.claim(taken, uuid4(), lease=5)

    answer = await db.renew(held)

    told = {UUID(lost["token"]): lost["outcome"] for lost in answer["lost"]}
    assert told == {held[cancelled]: "cancelled", held[taken]: "lost", held[deleted]: "unknown_prebooking"}
    assert await lease(db, mine) == 11


async def test_a_row_that_another_call_is_changing_keeps_nobody_waiting(many: Many) -> None:
    one, other = await many(2)
    # The clock of these two is real.
    ended = {"lease_until": datetime.now(UTC) - timedelta(days=1)}
    held = {await prebooking(one, **claimed(token, **ended)): token for token in (uuid4(), uuid4())}
    locked, free = held
    before = await one.row(locked)

    async with one.connection.transaction():
        await one.connection.execute("select from public.prebookings where id = $1 for update", locked)
        answer = await other.renew(held)

    assert answer["lost"] == []
    assert await other.row(locked) == before
    assert (await other.row(free))["lease_until"] > before["lease_until"]


async def test_a_renewal_is_no_news_and_a_claim_is(db: Functions) -> None:
    row, token = await prebooking(db), uuid4()
    created = await db.row(row)
    await db.at(NOW + seconds(1))
    await db.claim(row, token, lease=5)
    changed = await db.row(row)
    await db.at(NOW + seconds(2))
    await db.renew({row: token})
    renewed = await db.row(row)
    await db.begin(row, token)
    begun_row = await db.row(row)

    stamps = [r["updated_at"] for r in (created, changed, renewed, begun_row)]
    assert stamps[1] == stamps[2] == NOW + seconds(1)
    assert stamps[0] < stamps[1] < stamps[3]
    assert {name for name in changed if changed[name] != renewed[name]} == {"lease_until"}


async def test_who_was_lost_is_replaced_only_by_one_who_can_wait_for_the_opening(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW + seconds(50))
    await db.claim(row, uuid4(), horizon=98, lease=5)
    await db.at(NOW + seconds(5))

    brief = await db.claim(row, uuid4(), horizon=5, lease=5)
    patient = await db.claim(row, uuid4(), horizon=60, lease=5)

    assert (brief["outcome"], brief["retry_after"]) == ("not_due", 45)
    assert patient["outcome"] == "claimed"


async def test_what_was_begun_is_settled_however_far_the_opening_is(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW + seconds(50), **begun(BEGUN_BEFORE, lease_until=NOW))

    assert (await db.claim(row, uuid4(), horizon=0, lease=5))["outcome"] == "claimed"


async def test_the_sweep_knows_the_instant_at_which_an_unrenewed_lease_ends(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW + seconds(60))
    await db.claim(row, uuid4(), horizon=98, lease=5)

    waits = await db.sweep(lead=90)
    await db.at(NOW + seconds(5))
    due = await db.sweep(lead=90)

    assert (waits["execute"], waits["next_at"], waits["busy"]) == ([], (NOW + seconds(5)).isoformat(), True)
    assert due["execute"] == [str(row)]
