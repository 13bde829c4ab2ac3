"""Sixteen workers come to every row while a client cancels: each row is begun once or cancelled, never both.

CLAIM_RACE_ROWS=10000 makes it long; `pytest -s` shows what it measured.
"""

import asyncio
import os
import random
from collections import Counter
from statistics import quantiles
from time import perf_counter
from uuid import UUID, uuid4

from tests.postgres.functions import Functions, Many
from tests.postgres.test_races import LONG_S
from tests.postgres.test_races import rows as made

ROWS = int(os.environ.get("CLAIM_RACE_ROWS", "200"))
WORKERS = 16
NEAR = 6
SEED = 20261122


async def test_no_row_is_claimed_twice_nor_both_begun_and_cancelled(many: Many) -> None:
    *workers, client = await many(WORKERS + 1)
    ids = await made(client, ROWS)
    claims: Counter[UUID] = Counter()
    begun: dict[UUID, UUID] = {}
    cancelled: set[UUID] = set()
    waited: list[float] = []
    dice = random.Random(SEED)
    front = tried = 0
    moved = asyncio.Condition()

    async def work(worker: Functions) -> None:
        """Never far ahead of the client: whoever the machine keeps waiting, each side comes first at some rows."""
        nonlocal front
        for place, row in enumerate(ids):
            async with moved:
                front = max(front, place)
                moved.notify_all()
                await moved.wait_for(lambda: place <= tried + NEAR)  # noqa: B023  # awaited here
            token, asked = uuid4(), perf_counter()
            claim = await worker.claim(row, token, lease=LONG_S)
            waited.append(perf_counter() - asked)
            if claim["outcome"] == "claimed":
                claims[row] += 1
                if (await worker.begin(row, token, lease=LONG_S))["outcome"] == "begun":
                    begun[row] = token

    async def cancel() -> None:
        """Where the workers are: the rows just before and just behind them."""
        nonlocal tried
        for place in range(ROWS):
            async with moved:
                await moved.wait_for(lambda: front >= place)  # noqa: B023  # awaited here
            row = ids[min(max(0, front + dice.randint(-NEAR, NEAR)), ROWS - 1)]
            if (await client.cancel(row))["outcome"] == "cancelled":
                cancelled.add(row)
            async with moved:
                tried += 1
                moved.notify_all()

    started = perf_counter()
    await asyncio.gather(*map(work, workers), cancel())
    took = perf_counter() - started

    p50, p99 = (quantiles(waited, n=100)[n - 1] * 1000 for n in (50, 99))
    print(  # noqa: T201  # what it measured
        f"\n{ROWS:,} rows, {WORKERS} workers, seed {SEED}: {len(waited):,} claims, {len(begun):,} begun, "
        f"{len(cancelled):,} cancelled in {took:.1f} s; claim p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    )
    assert len(waited) == WORKERS * ROWS
    assert max(claims.values()) == 1
    assert set(ids) == begun.keys() ^ cancelled  # each of them one of both, none both
    assert len(begun) > ROWS / 20  # both happened, or nothing is shown
    assert len(cancelled) > ROWS / 20
    rows = await client.connection.fetch("select id, status, begun_token, attempts from public.prebookings")
    assert {r["id"]: r["begun_token"] for r in rows if r["status"] == "executing"} == begun
    assert {r["id"] for r in rows if r["status"] == "cancelled" and r["begun_token"] is None} == cancelled
    assert max(r["attempts"] for r in rows) == 1
