"""Thousands of prebookings while replicas are killed, Postgres crashes and the gym and QStash misbehave.

    python -m tests.reliability.faults.campaign                 # 10,000 prebookings in 9 minutes
    python -m tests.reliability.faults.campaign --seconds 60    # as many as fit

It ends with 0 only if the gym's and the database's ledgers and the members' own records agree that nothing was lost,
doubled, booked after its cancel, ended under a false name, or left lying.
"""

import argparse
import asyncio
import json
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from tests.reliability.faults import campaign_table, plan, sessions
from tests.reliability.faults.canaries import Canaries
from tests.reliability.faults.clients import fresh_client
from tests.reliability.faults.fault_schedule import FaultSchedule
from tests.reliability.faults.figures import Deliveries
from tests.reliability.faults.fleet import Fleet
from tests.reliability.faults.idle_members import IdleMembers
from tests.reliability.faults.ledgers import Evidence, SignIns
from tests.reliability.faults.old_cron import OldCron
from tests.reliability.faults.redirection import stderr_to
from tests.reliability.faults.rows import SESSION_KEY, Rows
from tests.reliability.faults.signers import MARK, Signers
from tests.reliability.faults.users import Users
from tests.reliability.faults.verdict import IN_TIME_S, LONGEST_PAUSE_S, Verdict, judge
from tests.reliability.faults.weekly_members import WeeklyMembers
from tests.support.named_gym import ZONE, by_name
from tests.support.webhook_receiver import Receiver, receiver

from prebooking_local.names import NameServer, name_server
from prebooking_local.serving import free_port
from prebooking_local.stack import UNLIMITED, Member, Ports, Stack, outside

_RESULTS = Path(__file__).parent / "results"
_OUT = Console(width=None if sys.stdout.isatty() else 160)
_RATE = 18.5  # prebookings a second, which two cores bear
_JOURNAL_EVERY_S = 30.0
#: Below those that systems hand out to outgoing connections, which would take it between two replicas.
_PORTS = range(15_000, 20_000)
_PARALLELISM = 300  # QStash's
_SIGN_IN_WITHIN = 0.6  # of the campaign
_ROTATED_S = 20.0  # what was being rotated when calm came has been saved


class Campaign:
    """One run; everything is drawn from the seed, but for who comes first when two meet."""

    def __init__(
        self, stack: Stack, names: NameServer, notices: Receiver, log: Path, options: argparse.Namespace
    ) -> None:
        self._stack = stack
        self._notices = notices
        self._log = log
        self._options = options
        self._rows = Rows(stack.database_url)
        self._deliveries = Deliveries(stack.service_url)
        self._canaries = Canaries(MARK)
        self.fault_schedule = FaultSchedule(
            stack, self._rows, names.put(f"*.{ZONE}", ("127.0.0.1",), ttl_s=1), self._dice("fault_schedule")
        )
        self._idle_members = IdleMembers(stack, self._rows, self._dice("idle_members"), options.idle_members)
        self._weekly_members = WeeklyMembers(stack, self._rows, self._dice("weekly_members"), options.series)
        self._signers = Signers(stack, self._dice("signers"), self.fault_schedule.sign_in)
        if options.beside:  # another version may know no sign-in
            self._signers.passwords.clear()
        self.fault_schedule.members_sign_in = self._signers.sign_in
        self.fault_schedule.signed_in = self._signers.signed_in
        self.users = Users(stack.service_url, self._dice("users"), self._signers.sign_in)
        port = int(stack.service_url.rpartition(":")[2])
        # Another version may know no name server but the system's.
        environment = stack.environment | ({} if options.beside else by_name(stack, names))
        self.fleet = Fleet(port, environment, options.replicas, self._dice("fleet"), options.beside)

    async def start(self) -> None:
        await self._stack.control(self._stack.aimharder_url, "boxes", list(plan.BOXES))
        await self._rows.record_sessions()
        passwords = self._signers.passwords
        await self._stack.enrol([Member(email, passwords.get(email, "secret"), email) for email in plan.members()])
        await self._idle_members.enrol()
        await self._weekly_members.enrol()
        await self.fleet.start()

    async def close(self) -> None:
        await self.fleet.close()
        await self.users.close()
        await self._signers.close()
        await self._idle_members.close()
        await self._weekly_members.close()
        await self._rows.close()

    async def run(self) -> tuple[Evidence, Deliveries, OldCron]:
        count, seconds = self._options.prebookings, self._options.seconds
        starts_at = time.time() + 1
        openings, wishes = plan.draw(self._dice("plan"), count, starts_at, seconds)
        await self._stack.control(self._stack.aimharder_url, "classes", [one.as_class() for one in openings])
        cron = OldCron(self._stack, self._rows, self._dice("old cron"), starts_at + seconds)
        trouble = [self.fault_schedule.run(), self.fleet.disrupt(), self._idle_members.run()]
        signing_in = self._signers.run(seconds * _SIGN_IN_WITHIN)
        weekly = self._weekly_members.run(starts_at, starts_at + seconds)
        if self._options.old_cron == "on":
            trouble.append(cron.run())
        members = (self.users.live(wishes), signing_in, weekly)
        async with _meanwhile(self._watch(count), *members) as (watching, *living):
            async with _meanwhile(*trouble) as troubling:
                await _until(starts_at + seconds, watching, *living, *troubling)
            await self.fault_schedule.clear()
            await self.fleet.restore()
            calm_at, leases = time.time(), await self._rows.leases()
            await self._idle_members.cancel_all()
            await asyncio.gather(*living)
            await self._drain(max([time.time(), *leases.values()]))  # what they did last has its time, too
            await asyncio.sleep(max(0.0, calm_at + _ROTATED_S - time.time()))
        return await self._evidence(openings, calm_at, leases), self._deliveries, cron

    def _dice(self, name: str) -> random.Random:
        return random.Random(f"{self._options.seed} {name}")

    async def _drain(self, free_since: float) -> None:
        until = min(free_since, time.time() + LONGEST_PAUSE_S) + IN_TIME_S
        while time.time() < until and await self._rows.unfinished():
            await asyncio.sleep(1)

    async def _watch(self, count: int) -> None:
        columns = (TextColumn("{task.completed}/{task.total} ended"), BarColumn(), TextColumn("{task.description}"))
        with Progress(*columns, TimeElapsedColumn(), console=_OUT) as progress:
            task = progress.add_task("", total=count)
            next_look = 0.0
            while True:
                if time.time() >= next_look:
                    await self._read_messages()
                    next_look = time.time() + _JOURNAL_EVERY_S
                counts = await self._rows.counts()
                told = (
                    f"{self.fleet.count('kill')} kills, {self.fault_schedule.restarts} restarts of Postgres, "
                    f"{self._deliveries.count} deliveries, {counts['pending'] + counts['executing']} under way"
                )
                ended = counts["completed"] + counts["failed"] + counts["cancelled"]
                progress.update(task, completed=ended, description=told)
                await asyncio.sleep(1)

    async def _read_messages(self) -> None:
        journal = await self._stack.control(self._stack.qstash_url, "messages")
        self._deliveries.take(journal)
        self._canaries.look("messages at QStash", json.dumps(journal))

    async def _sign_ins(self, requests: Any) -> SignIns:
        canaries = self._canaries
        canaries.look("the replicas' log", self._log.read_text(errors="replace"))
        canaries.look("the database's log", self._stack.postgres.log.read_text(errors="replace"))
        canaries.look("notices", json.dumps(self._notices.received))
        canaries.look("answers to sign-ins", "\n".join(one.said for one in self._signers.heard))
        canaries.look("answers", "\n".join(repr(one.body) for log in self.users.user_logs for one in log.exchanges))
        canaries.look("what the gym got, but for the logins' bodies", json.dumps(requests))
        await canaries.look_at_rows(self._rows)
        return SignIns(
            tries=await self._rows.sign_in_tries(),
            remembered=await self._rows.remembered(),
            told_remembered=self._signers.told_remembered,
            odd=self._signers.odd,
            found=canaries.found,
            looked_at=canaries.looked_at,
        )

    async def _evidence(self, openings: list[plan.Opening], calm_at: float, leases: Mapping[str, float]) -> Evidence:
        gym = self._stack.aimharder_url
        await self._read_messages()
        # Before the requests and the database: whatever a session had by then is in both.
        read_at, at_gym = time.time(), (await self._stack.control(gym, "sessions"))["sessions"]
        requests = (await self._stack.control(gym, "ledger"))["requests"]
        rows, theirs = await self._rows.all(), self._weekly_members.is_theirs
        bookings = (await self._stack.control(gym, "bookings"))["bookings"]
        return Evidence(
            user_logs=self.users.user_logs,
            openings=openings,
            rows=[row for row in rows if not theirs(row["user_email"])],
            bookings=[booking for booking in bookings if not theirs(booking["member"])],
            requests=requests,
            fault_windows=self.fault_schedule.fault_windows,
            deaths=self.fleet.deaths,
            sessions=sessions.Ledger(
                at_gym,
                requests,
                await self._rows.stored_sessions(),
                self.fleet.rotations(),
                self.fault_schedule.fault_windows,
                read_at,
            ),
            sign_ins=await self._sign_ins(requests),
            series=await self._weekly_members.ledgers(rows, bookings),
            calm_at=calm_at,
            leases=leases,
        )


@asynccontextmanager
async def started(stack: Stack, notices: Receiver, log: Path, options: argparse.Namespace) -> AsyncIterator[Campaign]:
    async with name_server() as names:
        campaign = Campaign(stack, names, notices, log, options)
        try:
            await campaign.start()
            yield campaign
        finally:
            await campaign.close()


@asynccontextmanager
async def _meanwhile(*work: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Goes on beside the block and ends with it."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result


async def _until(moment: float, *tasks: asyncio.Task[None]) -> None:
    """A task that breaks breaks the run."""
    done, _ = await asyncio.wait(tasks, timeout=moment - time.time(), return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def main() -> int:
    options = _options()
    _OUT.print(f"{options.prebookings} prebookings in {options.seconds:g} s, seed {options.seed}")
    _RESULTS.mkdir(exist_ok=True)
    name = f"campaign-{datetime.now(UTC):%Y%m%d-%H%M%S}-seed{options.seed}"
    async with AsyncExitStack() as opened:
        notices = await opened.enter_async_context(receiver())
        settings = {name.upper(): str(value) for name, value in notices.settings.items()} | UNLIMITED
        settings |= {"LOG_LEVEL": options.log_level, "SESSION_ENCRYPTION_KEYS": SESSION_KEY}
        log = _RESULTS / f"{name}.log"
        with stderr_to(log):
            port = free_port(random.sample(_PORTS, 100))
            stack = await opened.enter_async_context(
                outside(Ports(port, 0, 0, 0), parallelism=_PARALLELISM, **settings)
            )
            stack.http = await opened.enter_async_context(fresh_client(timeout_s=60))
            campaign = await opened.enter_async_context(started(stack, notices, log, options))
        evidence, deliveries, cron = await campaign.run()
    verdict: Verdict = judge(evidence)
    figures = campaign_table.figures(evidence, deliveries, verdict, campaign.fleet, campaign.fault_schedule, cron)
    _OUT.print(campaign_table.table(figures, title=f"The campaign of seed {options.seed}"))
    apart = list(campaign_table.apart(verdict))
    for text in (*campaign_table.complaints(verdict), *apart):
        _OUT.print(text, markup=False, highlight=False)
    kept = {"options": vars(options), "figures": figures, "complaints": list(campaign_table.complaints(verdict))}
    kept["apart"] = apart
    (_RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1))
    _OUT.print(f"Kept in {_RESULTS.name}/{name}.json, what the replicas said in {name}.log")
    return 0 if verdict.is_clean else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="the same plan, faults and kills again")
    parser.add_argument("--prebookings", type=int, default=None, help=f"default: {_RATE} a second")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=9.0)
    length.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument(
        "--idle-members", type=int, default=60, help="whose sessions are looked after, and nothing more"
    )
    parser.add_argument("--series", type=int, default=None, help="of members of their own; default: one a second")
    parser.add_argument("--old-cron", choices=("on", "off"), default="on")
    parser.add_argument("--beside", metavar="SRC", help="the src folder of another version: every other replica's")
    parser.add_argument("--log-level", default="WARNING", help="of the replicas")
    options = parser.parse_args()
    options.seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    options.seconds = options.seconds or options.minutes * 60
    options.prebookings = options.prebookings or round(_RATE * options.seconds / 100) * 100
    if options.series is None:  # another version may know none
        options.series = 0 if options.beside else min(500, round(options.seconds))
    return options


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
