"""Real races on a real Postgres: many sessions at once, and the row lock decides."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.postgres.factories import BEGUN_BEFORE, begun, booking_data, claimed, failed, prebooking
from tests.postgres.functions import NOW, Functions, Many, until_waiting

Work = Callable[[Functions, UUID], Awaitable[None]]

# Due by the real clock, of a class that is far away.
DUE: dict[str, Any] = {"available_at": datetime(2026, 1, 1, tzinfo=UTC)}
LONG_S = 600.0  # a lease that no machine is slow enough to outlast


async def rows(db: Functions, number: int, **columns: Any) -> list[UUID]:
    """Each of a day of its own, so that none waits for another."""
    days = [{"booking_data": booking_data(day=f"{NOW + timedelta(days=n):%Y%m%d}")} for n in range(number)]
    return [await prebooking(db, **{**DUE, **day, **columns}) for day in days]


async def each_at_all(workers: list[Functions], ids: list[UUID], work: Work) -> None:
    """Every worker comes to every row, all to the same one at the same time."""
    together = asyncio.Barrier(len(workers))

    async def come(worker: Functions) -> None:
        for row in ids:
            await together.wait()
            await work(worker, row)

    await asyncio.gather(*map(come, workers))


async def test_of_sixteen_claims_on_a_row_exactly_one_wins(many: Many) -> None:
    workers = await many(16)
    ids = await rows(workers[0], 80)
    wins: Counter[UUID] = Counter()
    reasons: set[str] = set()

    async def claim(worker: Functions, row: UUID) -> None:
        answer = await worker.claim(row, uuid4(), lease=LONG_S)
        reasons.add(answer["outcome"])
        wins[row] += answer["outcome"] == "claimed"

    await each_at_all(workers, ids, claim)

    assert wins == Counter(ids)
    assert reasons == {"claimed", "held"}
    attempts = await workers[0].connection.fetch("select distinct attempts from public.prebookings")
    assert [row["attempts"] for row in attempts] == [1]


async def test_of_sixteen_claims_on_a_row_whose_claimer_died_exactly_one_wins(many: Many) -> None:
    workers = await many(16)
    ended = datetime.now(UTC) - timedelta(seconds=1)
    ids = await rows(workers[0], 20, **claimed(uuid4(), lease_until=ended))
    ids += await rows(workers[0], 20, **begun(BEGUN_BEFORE, lease_until=ended))
    wins: Counter[UUID] = Counter()

    async def claim(worker: Functions, row: UUID) -> None:
        answer = await worker.claim(row, uuid4(), lease=LONG_S)
        wins[row] += answer["outcome"] == "claimed"

    await each_at_all(workers, ids, claim)

    assert wins == Counter(ids)


async def test_nothing_is_both_cancelled_and_begun(many: Many) -> None:
    workers = await many(16)
    ids = await rows(workers[0], 100)
    begins: Counter[UUID] = Counter()
    cancels: Counter[UUID] = Counter()
    client = workers[0]
    # Both happen, or nothing is shown: of some rows either side comes first, the others are left to chance.
    cancelled_first, begun_first = ({row: asyncio.Event() for row in ids[place::5]} for place in range(2))

    async def cancel(row: UUID) -> None:
        if row in begun_first:
            await begun_first[row].wait()
        cancels[row] += (await client.cancel(row))["outcome"] == "cancelled"
        if row in cancelled_first:
            cancelled_first[row].set()

    async def come(worker: Functions, row: UUID) -> None:
        if worker is client:
            await cancel(row)
            return
        if row in cancelled_first:
            await cancelled_first[row].wait()
        token = uuid4()
        if (await worker.claim(row, token, lease=LONG_S))["outcome"] == "claimed":
            begun_or_not = await worker.begin(row, token, lease=LONG_S)
            begins[row] += begun_or_not["outcome"] == "begun"
            if row in begun_first:
                begun_first[row].set()

    await each_at_all(workers, ids, come)

    assert all(bool(begins[row]) != bool(cancels[row]) for row in ids)
    assert max(begins.values()) == 1
    assert set(cancelled_first) <= set(+cancels)
    assert set(begun_first) <= set(+begins)


async def test_of_a_begin_and_a_cancel_the_one_that_waited_learns_that_it_lost(many: Many) -> None:
    first, second = await many(2)
    token = uuid4()
    cancelled, begins = await rows(first, 2, **claimed(token))

    async with first.connection.transaction():
        await first.cancel(cancelled)
        waiting = asyncio.create_task(second.begin(cancelled, token))
        await until_waiting(second, for_=first)
    assert (await waiting)["outcome"] == "cancelled"

    async with first.connection.transaction():
        await first.begin(begins, token)
        waiting = asyncio.create_task(second.cancel(begins))
        await until_waiting(second, for_=first)
    assert (await waiting)["outcome"] == "booking_in_progress"


async def test_of_a_finish_and_a_claim_that_takes_over_only_one_stands(many: Many) -> None:
    workers = await many(8)
    old, slow = uuid4(), workers[0]
    ended = datetime.now(UTC) - timedelta(seconds=1)
    ids = await rows(workers[0], 60, **begun(old, lease_until=ended))
    finishes: Counter[UUID] = Counter()
    takeovers: Counter[UUID] = Counter()

    async def come(worker: Functions, row: UUID) -> None:
        if worker is slow:
            answer = await worker.finish(row, old)
            finishes[row] += answer["outcome"] == "finished"
        else:
            answer = await worker.claim(row, uuid4(), lease=LONG_S)
            takeovers[row] += answer["outcome"] == "claimed"

    await each_at_all(workers, ids, come)

    assert all(finishes[row] + takeovers[row] == 1 for row in ids)


async def test_a_wish_retried_and_wished_again_at_once_is_active_once(many: Many) -> None:
    workers = await many(8)
    for _ in range(12):
        row = await prebooking(workers[0], **{**DUE, **failed()})
        wanted = (await workers[0].row(row))["booking_data"]
        answers = await asyncio.gather(
            *(
                worker.retry(row) if place % 2 else worker.create(wanted, DUE["available_at"])
                for place, worker in enumerate(workers)
            )
        )
        outcomes = Counter(a["outcome"] for a in answers)
        assert outcomes["retried"] + outcomes["created"] == 1, outcomes
        active = await workers[0].connection.fetchval(
            "select count(*) from public.prebookings where booking_data = $1 and status = 'pending'", wanted
        )
        assert active == 1
