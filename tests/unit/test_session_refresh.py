"""No session is lost by being refreshed, in leaping time: late answers, a database that is away, replicas that leave.

The gym is the strictest there is: a refresh ends the old cookies, and a stale token ends the session.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from tests.support.virtual_time_loop import Clock, VirtualTimeLoop

from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import BoxSilentError, StoreUnavailableError
from prebooking.domain.ports import Gyms, MemberAccount, SessionStore
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import NewTokens, SessionAnswer, SessionState, StoredSession
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.effects import Effects
from prebooking.usecases.sessions.refresh import SessionRefresher

MEMBERS, REPLICAS = 20, 2
SLOWEST_ANSWER_S, LONGEST_OUTAGE_S, RUNS_FOR_S = 7.0, 30.0, 600.0


class Gym:
    """Its tokens, by member; a cookie is the token it came with."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.tokens: dict[str, str] = {}
        self.rotations = 0
        self.killed: list[str] = []

    def account(self, cookies: Sequence[Cookie]) -> "AtGym":
        return AtGym(self, cookies)


class AtGym:
    def __init__(self, gym: Gym, cookies: Sequence[Cookie]) -> None:
        self._gym = gym
        self.use(cookies)

    def use(self, cookies: Sequence[Cookie]) -> None:
        self.cookies = tuple(cookies)
        ((self._member, self._cookie, _),) = cookies

    async def whoami(self) -> bool:
        await asyncio.sleep(self._gym.rng.uniform(0, 0.3))
        return self._gym.tokens.get(self._member) == self._cookie

    async def refresh(self, token: str, _: str) -> NewTokens | None:
        gym = self._gym
        await asyncio.sleep(gym.rng.uniform(0, 0.3))
        if gym.tokens.get(self._member) != token:
            gym.killed.append(self._member)
            gym.tokens.pop(self._member, None)
            return None
        gym.rotations += 1
        new = gym.tokens[self._member] = f"{self._member} {gym.rotations}"
        self.cookies = (Cookie(self._member, new),)
        await asyncio.sleep(gym.rng.uniform(0, SLOWEST_ANSWER_S))
        return NewTokens(new, self.cookies)


@dataclass
class Database:
    """As sql/functions/30_sessions.sql has it. While it is away, what is asked is not done, or its answer is lost."""

    clock: Clock
    rng: Random
    rows: dict[str, Session] = field(default_factory=dict)
    leases: dict[str, tuple[UUID, float]] = field(default_factory=dict)
    away: bool = False

    async def _asked(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.001, 0.05))
        if self.away:
            raise StoreUnavailableError("away")

    async def read_session(self, user_email: str) -> StoredSession:
        await self._asked()
        return StoredSession(state=cast("SessionState", None), session=self.rows[user_email])

    async def lease_session(self, user_email: str, token: str, lease: UUID, *, lease_s: float) -> SessionAnswer:
        await self._asked()
        row, (holder, until) = self.rows[user_email], self.leases.get(user_email, (lease, 0.0))
        if row.stored_token != token:
            return SessionAnswer(outcome=StoreOutcome.CHANGED, session=row)
        if holder != lease and until > self.clock.monotonic():
            return SessionAnswer(outcome=StoreOutcome.BUSY, session=row)
        self.leases[user_email] = lease, self.clock.monotonic() + lease_s
        return SessionAnswer(outcome=StoreOutcome.LEASED, session=row)

    async def save_session(self, session: Session, lease: UUID, **change: Any) -> SessionAnswer:
        await self._asked()
        row = self.rows[session.user_email]
        if row.stored_token not in (session.stored_token, change.get("token")):
            return SessionAnswer(outcome=StoreOutcome.CHANGED, session=row)
        if token := change.get("token"):
            row = replace(row, token=token, stored_token=token, cookies=change["cookies"])
        self.rows[session.user_email] = row
        if self.leases.get(session.user_email, (None, 0.0))[0] == lease:
            del self.leases[session.user_email]
        return SessionAnswer(outcome=StoreOutcome.SAVED, session=row)


class Replica:
    """One process: its store is closed when it has drained."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.closed = False
        self.effects = Effects(world.clock)
        store, gyms = cast("SessionStore", self), cast("Gyms", self)
        self.sessions = SessionRefresher(store, gyms, world.clock, self.effects)

    def __getattr__(self, name: str) -> Any:
        assert not self.closed or name == "read_session", "the store was closed under a refresh"
        return getattr(self._world.database, name)

    @asynccontextmanager
    async def account(self, cookies: Sequence[Cookie]) -> AsyncIterator[AtGym]:
        assert not self.closed
        yield self._world.gym.account(cookies)

    async def leave(self) -> None:
        self.effects.stop()
        await self.effects.drain()
        self.closed = True


class World:
    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.rng = Random(seed)
        self.gym = Gym(self.rng)
        self.database = Database(clock, self.rng)
        self.replicas = [Replica(self) for _ in range(REPLICAS)]
        self.leaving: list[asyncio.Task[None]] = []
        self.told_dead: list[str] = []
        for number in range(MEMBERS):
            email = f"member{number:02}@example.com"
            self.gym.tokens[email] = email
            self.database.rows[email] = Session(
                id=uuid4(),
                user_email=email,
                token=email,
                stored_token=email,
                cookies=(Cookie(email, email),),
                fingerprint="f",
                token_age_s=None,  # so it is refreshed whenever it is looked at
            )

    async def look(self, email: str) -> None:
        """As a look does, whose caller may be cancelled."""
        replica = self.rng.choice(self.replicas)
        found = await replica.read_session(email)
        account = cast("MemberAccount", self.gym.account(found.session.cookies))
        if not await replica.sessions.ensure_alive(account, email, found.session, within_s=8.0):
            self.told_dead.append(email)

    async def member(self, email: str) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(0, 20))
            looking = asyncio.create_task(self.look(email))
            await asyncio.wait({looking}, timeout=self.rng.uniform(0, 12))
            looking.cancel()
            with suppress(asyncio.CancelledError, BoxSilentError, StoreUnavailableError):
                await looking

    async def outages(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(5, 30))  # long enough for a try to store
            self.database.away = True
            await asyncio.sleep(self.rng.uniform(0, LONGEST_OUTAGE_S))
            self.database.away = False

    async def deploys(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(1, 20))
            old = self.rng.choice(self.replicas)
            self.replicas[self.replicas.index(old)] = Replica(self)
            self.leaving.append(asyncio.create_task(old.leave()))

    async def run(self) -> None:
        tasks = [asyncio.create_task(self.member(email)) for email in self.database.rows]
        tasks += [asyncio.create_task(self.outages()), asyncio.create_task(self.deploys())]
        await asyncio.sleep(RUNS_FOR_S)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == []
        # The last outage may just have begun or ended: with another one it would be longer than the grace of a stop.
        self.database.away = False
        await asyncio.sleep(5)
        self.database.away = True
        leaving = asyncio.gather(*self.leaving, *(replica.leave() for replica in self.replicas))
        await asyncio.sleep(self.rng.uniform(0, LONGEST_OUTAGE_S))
        self.database.away = False
        await leaving


@pytest.mark.parametrize("seed", range(10))
def test_no_session_is_lost(seed: int) -> None:
    random.seed(seed)  # of the service's own jitter
    loop = VirtualTimeLoop()
    try:
        world = World(Clock(loop), seed)
        loop.run_until_complete(world.run())
    finally:
        loop.close()
    lost = [email for email, row in world.database.rows.items() if world.gym.tokens.get(email) != row.token]
    assert (lost, world.gym.killed, world.told_dead) == ([], [], [])
    assert world.gym.rotations > 2 * MEMBERS
    assert len(world.leaving) > 20
