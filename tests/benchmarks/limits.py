"""What the limits and the fixed settings of functions cost a call, in the database alone.

`python -m tests.benchmarks.limits`
"""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import asyncpg
from rich.console import Console
from rich.table import Table
from tests.benchmarks.growth import FILL

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import Postgres, postgres

_ROUNDS, _CALLS, _ROWS = 10, 50, 100_000
_OUT = Console(width=140)
_EARLIER = Path(__file__).parents[1] / "postgres/earlier"
_WITHOUT_LIMITS = [path for path in sorted(_EARLIER.glob("*.sql")) if path.name < "0009"]
_CREATE = """select public.create_prebooking($1::uuid, $2, 'mygym', '7',
  jsonb_build_object('day', '20991231', 'id', $1::uuid::text, 'familyId', '', 'insist', 0), now()"""
_CALLS_OF_A_ROW = {
    "claim": "select public.claim_prebooking($1, $2::text::uuid, 1, 5, 5)",
    "begin": "select public.begin_booking($1, $2::text::uuid, 20, 5, false)",
    "finish": "select public.finish_booking($1, $2::text::uuid, true, 'booked', '', '{}')",
}


async def prepared(server: Postgres, name: str, earlier: Iterable[Path] = ()) -> asyncpg.Connection:
    """A database with twenty rows of each of 5,000 users, migrated by these files of the earlier layout, or by ours."""
    dsn = await server.create_database(name)
    if not earlier:
        await migrate(dsn)
    connection: asyncpg.Connection = await asyncpg.connect(dsn)
    for path in earlier:
        await connection.execute(path.read_text())
    await connection.execute(FILL, 1, _ROWS)
    await connection.execute("vacuum analyze public.prebookings")
    return connection


async def measure(connection: asyncpg.Connection, limits: str, took: dict[str, list[float]]) -> None:
    for _ in range(_CALLS):
        row, token = uuid4(), str(uuid4())
        email = f"member{row.int % 5000}@example.com"
        for name, query in {"create": f"{_CREATE}{limits})", **_CALLS_OF_A_ROW}.items():
            started = time.perf_counter()
            await connection.fetchval(query, row, email if name == "create" else token)
            took[name].append((time.perf_counter() - started) * 1000)


async def main() -> None:
    before: dict[str, list[float]] = defaultdict(list)
    after: dict[str, list[float]] = defaultdict(list)
    async with postgres() as server:
        old = await prepared(server, "old", _WITHOUT_LIMITS)
        new = await prepared(server, "new")
        for _ in range(_ROUNDS):  # in turn, so that both meet the same load of the machine
            await measure(old, "", before)
            await measure(new, ", 15, 30", after)
        await asyncio.gather(old.close(), new.close())
    table = Table(title=f"Milliseconds a call, {_ROWS:,} rows, one connection, p50 / p95")
    for name in ("", "without", "with"):
        table.add_column(name, justify="right")
    for name, old_took in before.items():
        cells = [
            f"{statistics.median(t):.2f} / {statistics.quantiles(t, n=20)[-1]:.2f}" for t in (old_took, after[name])
        ]
        table.add_row(name, *cells)
    _OUT.print(table)


if __name__ == "__main__":
    asyncio.run(main())
