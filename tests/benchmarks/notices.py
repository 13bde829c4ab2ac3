"""How taking and removing notices grows with their number, in the database alone.

`python -m tests.benchmarks.notices`
"""

import asyncio
import statistics
import time

import asyncpg
from rich.console import Console
from rich.progress import track
from rich.table import Table

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import postgres

SIZES = (10_000, 200_000, 2_000_000)
_CALLS = 20
_OUT = Console(width=140)

# Each kind of crowd: told or not, how old, and when it is tried again.
CROWDS = {
    "told, of three years": ("now()", "now() - i % 1095 * interval '1 day'", "now()"),
    "told, of today": ("now()", "now() - i % 86000 * interval '1 second'", "now()"),
    "nobody listens, of three years": ("null", "now() - i % 1095 * interval '1 day'", "now()"),
    "untold, of today": ("null", "now() - i % 86000 * interval '1 second'", "now()"),
    "untold, of today, tried again in a minute": (
        *("null", "now() - i % 86000 * interval '1 second'", "now() + interval '1 hour'"),
    ),
}
_FILL = """
insert into prebooking.notices (key, kind, prebooking, told_at, created_at, try_after)
select i::text, 'booked', jsonb_build_object('id', gen_random_uuid(), 'status', 'completed'), {}, {}, {}
from generate_series($1::int, $2::int) i
"""
_CALLED = {
    "take_notices": "select public.take_notices()",
    "remove_old_prebookings": "select public.remove_old_prebookings(90)",
}


async def measure(connection: asyncpg.Connection, query: str) -> str:
    """Milliseconds, median and longest."""
    took = []
    for _ in range(_CALLS):
        started = time.perf_counter()
        await connection.fetchval(query)
        took.append((time.perf_counter() - started) * 1000)
    return f"{statistics.median(took):.1f} / {max(took):.1f}"


async def main() -> None:
    table = Table(title="Milliseconds a call, one connection, median / longest")
    for name in ("notices", "which", *_CALLED):
        table.add_column(name, justify="left" if name == "which" else "right")
    async with postgres() as server:
        await migrate(server.dsn())
        connection = await asyncpg.connect(server.dsn())
        for crowd, columns in track(CROWDS.items(), "filling and measuring", console=_OUT, total=len(CROWDS)):
            await connection.execute("truncate prebooking.notices")
            filled = 0
            for size in SIZES:
                await connection.execute(_FILL.format(*columns), filled + 1, size)
                filled = size
                await connection.execute("vacuum analyze prebooking.notices")
                table.add_row(f"{size:,}", crowd, *[await measure(connection, query) for query in _CALLED.values()])
        await connection.close()
    _OUT.print(table)


if __name__ == "__main__":
    asyncio.run(main())
