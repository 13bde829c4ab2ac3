"""A rolling deploy of three replicas while 300 members wait for one opening.

    python -m tests.reliability.faults.rolling_deploy                        # this version over itself
    python -m tests.reliability.faults.rolling_deploy --from ../other/src # another version, replaced by this one
    python -m tests.reliability.faults.rolling_deploy --deploy off           # the same opening left alone

Each new replica serves before the old one is asked to leave (SIGTERM): 6 s and 3 s before the opening, and at it. It
ends with 0 only if the gym and the database agree that each was booked once.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import asyncpg
from rich.console import Console
from rich.table import Table
from tests.reliability.faults.any_version import AnyVersion
from tests.reliability.faults.clients import fresh_client
from tests.reliability.oracle import Facts, Request, Row, granted, violations
from tests.support.percentiles import percentile

from prebooking_local.serving import free_port
from prebooking_local.stack import UNLIMITED, Member, Ports, Stack, outside

_SOURCE = str(Path(__file__).parents[3] / "src")
_OUT = Console(width=None if sys.stdout.isatty() else 120)
_BOX = {"slug": "mygym", "boid": 7}
_BEFORE_S = (6.0, 3.0, 0.0)  # when each old replica gets SIGTERM, before the opening
_LEAD_S, _DURATION_S = 10, 18
_AT_ONCE = 20


class Deploy:
    def __init__(self, stack: Stack, options: argparse.Namespace, port: int) -> None:
        self._stack = stack
        self._options = options
        self._port = port
        self._replicas: list[AnyVersion] = []
        self.terminated_s: list[float] = []  #: when each got SIGTERM, after the opening
        self.held: dict[str, set[str]] = {}  #: by row, the claims when a replica got SIGTERM

    async def start(self, source: str) -> AnyVersion:
        replica = AnyVersion(self._port, self._stack.environment, source, grace_s=_DURATION_S)
        self._replicas.append(replica)
        await replica.ready()
        return replica

    async def roll(self, old: list[AnyVersion], opens_at: datetime, database: asyncpg.Connection) -> None:
        for replica, before_s in zip(old, _BEFORE_S, strict=True):
            new = asyncio.create_task(self.start(_SOURCE))
            await asyncio.sleep(max(0.0, opens_at.timestamp() - before_s - time.time()))
            await new
            claims = "select id::text, claim_token::text from public.prebookings where claim_token is not null"
            for row, token in await database.fetch(claims):
                self.held.setdefault(row, set()).add(token)
            replica.terminate()
            self.terminated_s.append(time.time() - opens_at.timestamp())
        await asyncio.gather(*(replica.gone() for replica in old))

    async def close(self) -> None:
        for replica in self._replicas:
            replica.kill()
            await replica.gone()


async def main() -> int:
    options = _options()
    port = free_port()
    settings = {"LEAD_SECONDS": str(_LEAD_S), "MAX_DURATION_SECONDS": str(_DURATION_S), "LOG_LEVEL": "ERROR"}
    async with outside(Ports(port, 0, 0, 0), (), parallelism=options.members, **settings, **UNLIMITED) as stack:
        stack.http = fresh_client(timeout_s=60)
        deploy = Deploy(stack, options, port)
        database = await asyncpg.connect(stack.database_url)
        try:
            return await run(stack, deploy, database, options)
        finally:
            await deploy.close()
            await database.close()
            await stack.http.aclose()


async def run(stack: Stack, deploy: Deploy, database: asyncpg.Connection, options: argparse.Namespace) -> int:
    members = [Member(f"m{n:04}@example.com", "secret", f"Member {n}") for n in range(options.members)]
    await stack.control(stack.aimharder_url, "boxes", _BOX)
    await stack.enrol(members)
    old = [await deploy.start(options.source) for _ in range(3)]
    opens_at = (datetime.now(UTC) + timedelta(seconds=_LEAD_S + 8 + options.members / 40)).replace(microsecond=0)
    day = f"{opens_at + timedelta(days=4):%Y%m%d}"
    room = {"box": "mygym", "id": 501, "day": day, "opens_at": opens_at.isoformat(), "capacity": options.members}
    await stack.control(stack.aimharder_url, "classes", room)
    line = asyncio.Semaphore(_AT_ONCE)

    async def prebook(member: Member) -> None:
        wish = {
            "box_subdomain": "mygym",
            "box_aimharder_id": 7,
            "booking_data": {"day": day, "id": 501},
            "available_at": opens_at.isoformat(),
        }
        async with line:
            await stack.prebook(member.email, wish)

    await asyncio.gather(*(prebook(member) for member in members))
    _OUT.print(f"{len(members)} prebooked, the class opens in {opens_at.timestamp() - time.time():.0f} s")
    if options.deploy == "on":
        await deploy.roll(old, opens_at, database)
    until = opens_at.timestamp() + 60
    unfinished = "select count(*) from public.prebookings where status in ('pending', 'executing')"
    while time.time() < until and await database.fetchval(unfinished):
        await asyncio.sleep(0.2)
    return await judged(stack, deploy, database, opens_at)


async def judged(stack: Stack, deploy: Deploy, database: asyncpg.Connection, opens_at: datetime) -> int:
    rows = await database.fetch("select *, finished_token::text as by from public.prebookings")
    requests = (await stack.control(stack.aimharder_url, "ledger"))["requests"]
    opened_ns = int(opens_at.timestamp() * 1_000_000) * 1000
    arrived: dict[str, list[float]] = {}
    for request in requests:
        if request["path"] == "/api/book":
            arrived.setdefault(request["member"], []).append((request["last_byte_ns"] - opened_ns) / 1e6)
    bookings = (await stack.control(stack.aimharder_url, "bookings"))["bookings"]
    moved: list[float] = []
    kept: list[float] = []
    for row in rows:
        handed_over = bool(deploy.held.get(str(row["id"]), set()) - {row["by"]})
        (moved if handed_over else kept).extend(arrived.get(row["user_email"], [])[:1])
    wrong = Counter[str]()
    for row in rows:
        mine = [request for request in requests if request["member"] == row["user_email"]]
        facts = Facts(
            rows=[Row.read({**row, "result": json.loads(row["result"] or "null")})],
            bookings={str(one["id"]): one["state"] for one in bookings if one["member"] == row["user_email"]},
            requests=[
                Request(request["first_byte_ns"], opened_ns, granted(request["decided"]))
                for request in mine
                if request["path"] == "/api/book"
            ],
        )
        wrong.update(violation.kind for violation in violations(facts))
        wrong["not booked"] += row["status"] != "completed"
    table = Table(title=f"{len(rows)} for one opening, three replicas")
    for name in ("", "members", "p50 ms", "p99 ms", "last ms"):
        table.add_column(name, justify="right" if name else "left")
    for name, times in (("their replica left before it had begun", moved), ("the others", kept)):
        table.add_row(name, str(len(times)), *_spread(times))
    _OUT.print(table)
    terminated = ", ".join(f"{at:+.1f} s" for at in deploy.terminated_s) or "none"
    outcomes = Counter((json.loads(row["result"] or "{}") or {}).get("outcome", row["status"]) for row in rows)
    _OUT.print(f"SIGTERM at: {terminated}. Outcomes: {dict(outcomes)}.")
    _OUT.print(f"Wrong: {', '.join(f'{what} {count}' for what, count in (+wrong).items()) or 'nothing'}.")
    return 1 if +wrong else 0


def _spread(times: list[float]) -> list[str]:
    if not times:
        return ["", "", ""]
    ordered = sorted(times)
    return [f"{value:.1f}" for value in (median(ordered), percentile(ordered, 99), ordered[-1])]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=300)
    parser.add_argument("--from", dest="source", default=_SOURCE, help="the src folder of the version that is replaced")
    parser.add_argument("--deploy", choices=("on", "off"), default="on")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
