"""Sessions are refreshed while answers come late, the database is away, and replicas are asked to leave at any moment.

Judged by the gym's ledger: a session is lost when the token that the gym gave last is not in the database. The gym is
the strictest there is: a refresh ends the old cookie, and a stale token ends the session.

    python -m tests.processes.session_rotations --members 200 --seed 1
"""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import asyncpg
from tests.reliability.faults.replica import Replica

from prebooking_local.serving import free_port
from prebooking_local.stack import UNLIMITED, Member, Ports, Stack, outside

REFRESH = "/api/tokenUpdate"
_LEAVES_WITHIN_S = 75.0  # as long as a platform is told to wait before it kills
_FROZEN_S = (21.0, 25.0)
_AFTERWARDS_S = 4.0
_STRICT = {"stale_token_kills": True, "refresh_renews_cookie": True}
_WANTED = """
insert into public.prebookings (user_email, booking_data, available_at, box_subdomain, box_aimharder_id)
select email,
  '{"day": "20991231", "id": "1"}', now() + interval '29 minutes', 'mygym', '7' from unnest($1::text[]) email
"""
#: Not in a minute, as a look that came to nothing is.
_LOOKED_AT_AGAIN = "delete from prebooking.session_watch where lease_until < now() + interval '50 seconds'"
_OLD = """
update public.auth_sessions set created_at = now() - interval '26 minutes', connected_at = null,
  last_token_update_date = null, last_refresh_date = null
"""


@dataclass(slots=True)
class Faults:
    """What goes wrong, and for how long."""

    slowest_answer_s: float
    away_s: tuple[float, float]  #: of the database, each time
    healthy_s: tuple[float, float]  #: between two times
    leave_every_s: tuple[float, float]  #: a replica
    frozen: float = 0.0  #: the part of those that stand still for a while before they are asked to leave
    lasts_s: float = math.inf  #: then nothing more: on a starved machine nothing might ever come to its end between two


@dataclass(slots=True)
class Verdict:
    members: int
    refreshed: int = 0
    lost: list[str] = field(default_factory=list)
    dead: int = 0  #: users who were warned
    stops: int = 0
    killed: int = 0  #: had not left in time
    outages: list[float] = field(default_factory=list)
    slowest_leave_s: float = 0.0
    took_s: float = 0.0


class Play:
    def __init__(
        self, stack: Stack, database: asyncpg.Connection, members: Sequence[Member], faults: Faults, rng: Random
    ) -> None:
        self.stack = stack
        self.database = database
        self.members = members
        self.faults = faults
        self.rng = rng
        self.verdict = Verdict(len(members))
        self.replicas: list[Replica] = []
        self.leaving: set[asyncio.Task[None]] = set()

    async def play(self) -> Verdict:
        began = time.monotonic()
        await self._prepare()
        for _ in range(2):
            await self._start()
        healthy_at = time.monotonic() + self.faults.lasts_s
        troubles = [asyncio.create_task(trouble) for trouble in (self._outages(), self._deploys())]
        try:
            while len(await self._tokens()) < len(self.members):
                await asyncio.sleep(0.5)
                await self.database.execute(_LOOKED_AT_AGAIN)
                for trouble in troubles:
                    if trouble.done():
                        trouble.result()
                if time.monotonic() > healthy_at:
                    await self._end(troubles)
                    await self._database_is(away=False)
        finally:
            await self._end(troubles)
            # The last of them leave in the middle of it, and it is healthy only later.
            for replica in list(self.replicas):
                self._ask_to_leave(replica)
            await asyncio.sleep(self.rng.uniform(*self.faults.away_s) / 2)
            await self._database_is(away=False)
            await asyncio.gather(*self.leaving)
        await self._judge()
        self.verdict.took_s = time.monotonic() - began
        return self.verdict

    async def _end(self, troubles: list[asyncio.Task[None]]) -> None:
        for trouble in troubles:
            trouble.cancel()
        await asyncio.gather(*troubles, return_exceptions=True)
        troubles.clear()

    async def _prepare(self) -> None:
        stack = self.stack
        await stack.control(stack.aimharder_url, "boxes", {"slug": "mygym", "boid": 7})
        await stack.control(stack.aimharder_url, "sessions/rules", _STRICT)
        await stack.enrol(self.members)
        late = [
            {"kind": "slow", "path": REFRESH, "member": member.email, "seconds": self.rng.uniform(0, self._slowest)}
            for member in self.members
        ]
        await stack.control(stack.aimharder_url, "faults", late)
        await self.database.execute(_WANTED, [member.email for member in self.members])
        await self.database.execute(_OLD)

    @property
    def _slowest(self) -> float:
        return self.faults.slowest_answer_s

    async def _start(self) -> None:
        port = free_port()
        replica = Replica(port, self.stack.environment | {"PUBLIC_URL": f"http://127.0.0.1:{port}"})
        self.replicas.append(replica)  # now: it is asked to leave, too, if nobody waits for it any more
        await replica.ready()

    async def _deploys(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(*self.faults.leave_every_s))
            await self._start()
            self._ask_to_leave(self.replicas[0])

    def _ask_to_leave(self, replica: Replica) -> None:
        self.replicas.remove(replica)
        self.verdict.stops += 1
        self.leaving.add(asyncio.create_task(self._leaves(replica)))

    async def _leaves(self, replica: Replica) -> None:
        if self.rng.random() < self.faults.frozen:
            replica.stop()
            await asyncio.sleep(self.rng.uniform(*_FROZEN_S))
            replica.resume()
            await asyncio.sleep(_AFTERWARDS_S)
        replica.terminate()
        began = time.monotonic()
        try:
            await asyncio.wait_for(replica.gone(), _LEAVES_WITHIN_S)
        except TimeoutError:
            self.verdict.killed += 1
            replica.kill()
        self.verdict.slowest_leave_s = max(self.verdict.slowest_leave_s, time.monotonic() - began)

    async def _outages(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(*self.faults.healthy_s))
            seconds = self.rng.uniform(*self.faults.away_s)
            self.verdict.outages.append(seconds)
            await self._database_is(away=True)
            await asyncio.sleep(seconds)
            await self._database_is(away=False)

    async def _database_is(self, *, away: bool) -> None:
        kind = self.rng.choice(["unavailable", "drop"])
        faults = [{"kind": kind, "times": None}] if away else []
        await self.stack.control(self.stack.supabase_url, "faults", faults)

    async def _refreshes(self) -> list[dict[str, Any]]:
        ledger = (await self.stack.control(self.stack.aimharder_url, "ledger"))["requests"]
        return [entry for entry in ledger if entry["path"] == REFRESH and "newToken" in (entry["decided"] or {})]

    async def _tokens(self) -> dict[str, str]:
        """The last one that the gym gave each member."""
        return {entry["member"]: entry["decided"]["newToken"] for entry in await self._refreshes()}

    async def _judge(self) -> None:
        verdict, given = self.verdict, await self._tokens()
        stored = dict(await self.database.fetch("select user_email, aimharder_token from public.auth_sessions"))
        verdict.dead = await self.database.fetchval("select count(*) from public.prebookings where warning is not null")
        verdict.refreshed = len(await self._refreshes())
        verdict.lost = sorted(email for email, token in given.items() if stored[email] != token)


async def play(members: int, faults: Faults, seed: int) -> Verdict:
    people = [Member(f"member{number:03}@example.com", "secret", f"M{number}") for number in range(members)]
    async with outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack, stack.database() as database:
        return await Play(stack, database, people, faults, Random(seed)).play()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slowest-answer", type=float, default=7.0, metavar="SECONDS")
    parser.add_argument("--longest-outage", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--frozen", type=float, default=0.0, metavar="PART", help="of the replicas, for 21 to 25 s")
    told = parser.parse_args()
    faults = Faults(told.slowest_answer, (2.0, told.longest_outage), (4.0, 12.0), (3.0, 9.0), told.frozen)
    verdict = asyncio.run(play(told.members, faults, told.seed))
    sys.stdout.write(
        f"{verdict.members} members, {verdict.refreshed} refreshes, {verdict.stops} replicas asked to leave"
        f" (the slowest left after {verdict.slowest_leave_s:.1f} s, {verdict.killed} had to be killed),"
        f" the database away {len(verdict.outages)} times, {max(verdict.outages, default=0):.1f} s at the longest;"
        f" {verdict.took_s:.0f} s in all\nsessions lost: {len(verdict.lost)}, told dead: {verdict.dead}\n"
    )
    sys.exit(bool(verdict.lost or verdict.dead))


if __name__ == "__main__":
    main()
