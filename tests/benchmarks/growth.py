"""How create, claim, sweep, list and inspection grow with the table and with series, in the database alone.

`python -m tests.benchmarks.growth`
"""

import argparse
import asyncio
import statistics
import time
from uuid import uuid4

import asyncpg
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tests.support.percentiles import percentile

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import postgres

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_CALLS = 400
_INSPECTIONS = 20
_OUT = Console(width=140)

# Three years of a busy service: nearly all ended, a thousandth still waits, spread over a week.
FILL = """
insert into public.prebookings (user_email, box_subdomain, box_aimharder_id, booking_data, status, available_at,
  created_at, armed_at, scheduled_version, version, executed_at, result)
select 'member' || (i % 5000) || '@example.com', 'mygym', '7',
  jsonb_build_object('day', '20991231', 'id', i::text, 'familyId', '', 'insist', 0),
  case when i % 1000 = 0 then 'pending' else 'completed' end,
  now() + case when i % 1000 = 0 then (i % 604800 + 3600) * interval '1 second' else -(i % 1000) * interval '1 day' end,
  now() - (i % 1000) * interval '1 day', now() - interval '1 day', 1, 1, now(), '{"success": true}'
from generate_series($1::int, $2::int) i
"""
# Two each, of 5,000 members; none is due.
_SERIES = 10_000
_FILL_SERIES = """
insert into public.prebooking_series (id, user_email, weekly, look_at, created_at, updated_at)
select gen_random_uuid(), 'member' || (i % 5000) || '@example.com',
  jsonb_build_object('box_subdomain', 'mygym', 'box_aimharder_id', '7', 'weekdays', jsonb_build_array(1 + i % 7),
    'starts', '07:00', 'name', 'CrossFit', 'family_id', '', 'insist', 0, 'time_zone', 'Europe/Madrid',
    'days_before', i % 9),
  now() + interval '1 day', now(), now()
from generate_series(1, $1::int) i
"""
_CREATE = """
select public.create_prebooking($1, 'member7@example.com', 'mygym', '7',
  jsonb_build_object('day', '20991230', 'id', $2::text, 'familyId', '', 'insist', 0), now() + interval '3 days', 100000)
"""
_DUE = """
insert into public.prebookings (id, user_email, box_subdomain, box_aimharder_id, booking_data, available_at, armed_at)
values ($1, 'member7@example.com', 'mygym', '7', '{"day": "20991231", "id": "1"}', now(), now() - interval '1 minute')
"""
_CLAIM = "select public.claim_prebooking($1, $2, 1, 5, 5)"
_FINISH = "select public.finish_booking($1, $2, true, 'booked', '', '{}')"
_SWEEP = "select public.sweep_prebookings(3, 518400)"
_LIST = "select public.list_prebookings('member7@example.com')"
_INSPECT = "select public.inspect_service(array['claim_prebooking'], 10, 'https://prebooking.example.com')"


async def measure(connection: asyncpg.Connection) -> dict[str, list[float]]:
    """Milliseconds of each call, sorted."""
    took: dict[str, list[float]] = {"create": [], "claim": [], "sweep": [], "list": [], "inspect": []}

    async def timed(name: str, query: str, *arguments: object) -> None:
        started = time.perf_counter()
        await connection.fetchval(query, *arguments)
        took[name].append((time.perf_counter() - started) * 1000)

    for number in range(_CALLS):
        made = uuid4()
        await timed("create", _CREATE, made, str(number))
        await connection.execute("delete from public.prebookings where id = $1", made)
        due, token = uuid4(), uuid4()
        await connection.execute(_DUE, due)
        await timed("sweep", _SWEEP)
        await timed("claim", _CLAIM, due, token)
        await connection.fetchval(_FINISH, due, token)
        await timed("list", _LIST)
    for _ in range(_INSPECTIONS):
        await timed("inspect", _INSPECT)
    return {name: sorted(values) for name, values in took.items()}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES)
    sizes = parser.parse_args().rows
    table = Table(title="Milliseconds a call, one connection, p50 / p99")
    for name in ("rows", "create", "claim", "sweep", "list", "inspect"):
        table.add_column(name, justify="right")
    async with postgres() as server:
        await migrate(server.dsn())
        connection = await asyncpg.connect(server.dsn())
        filled = 0

        async def measured(what: str) -> None:
            await connection.execute("vacuum analyze")
            took = await measure(connection)
            cells = [f"{statistics.median(v):.2f} / {percentile(v, 99):.2f}" for v in took.values()]
            table.add_row(what, *cells)

        for size in track(sizes, "filling and measuring", console=_OUT):
            await connection.execute(FILL, filled + 1, size)
            filled = size
            await measured(f"{size:,}")
        await connection.execute(_FILL_SERIES, _SERIES)
        await measured(f"and {_SERIES:,} series")
        await connection.execute("truncate public.prebooking_series cascade")
        await measured("and without them")
        await connection.close()
    _OUT.print(table)


if __name__ == "__main__":
    asyncio.run(main())
