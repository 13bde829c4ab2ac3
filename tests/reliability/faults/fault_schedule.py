"""Faults of the gym, the database and QStash, each for a while at a time, by the stand-ins' own switches."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
from tests.reliability.faults.fault_kinds import (
    database_faults,
    gym_fault,
    qstash_faults,
    silent_account_host,
    slow_names,
    slow_rotations,
)
from tests.reliability.faults.plan import members
from tests.reliability.faults.rows import Rows

from prebooking_local.names import Zone
from prebooking_local.stack import Stack

#: What comes of a connection to a gym whose door is shut, or was shut before it took it.
_SHUT = (httpx.NetworkError, httpx.RemoteProtocolError)


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """When a fault lasted, and where. Epoch seconds."""

    where: str  #: gym, database, qstash
    kind: str
    began: float
    ended: float
    box: str | None = None


class FaultSchedule:
    """Injects faults until it is cancelled; counts them."""

    def __init__(self, stack: Stack, rows: Rows, zone: Zone, rng: Random) -> None:
        self._zone = zone
        self._stack = stack
        self._rows = rows
        self._rng = rng
        self.fault_windows: list[FaultWindow] = []
        self.injected: Counter[str] = Counter()
        self.restarts = 0
        self._restarting: asyncio.Task[None] | None = None
        self._cut_short: list[tuple[str, str, float, str | None]] = []  #: windows that are cancelled before their end
        self.signed_in: Callable[[], list[str]] = list  #: who has, with a password
        self.members_sign_in: Callable[[str], Awaitable[None]] = self.sign_in  #: each in their own way

    async def run(self) -> None:
        """Returns when it is cancelled; see `clear`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._gym_faults, (0.5, 3.0)))
            group.create_task(self._repeat(self._slow_rotations, (1.0, 8.0)))
            group.create_task(self._repeat(self._account_host_silent, (15.0, 90.0)))
            group.create_task(self._repeat(self._names_faults, (5.0, 25.0)))
            group.create_task(self._repeat(self._database_faults, (0.5, 3.0), (5.0, 12.0)))
            group.create_task(self._repeat(self._qstash_faults, (0.5, 3.0), (5.0, 8.0)))
            group.create_task(self._repeat(self._sessions_die, (3.0, 9.0)))
            group.create_task(self._repeat(self._sessions_signed_in_die, (1.0, 3.0)))
            group.create_task(self._repeat(self._members_sign_in, (1.0, 2.0)))
            group.create_task(self._repeat(self._postgres_restarts, (15.0, 40.0)))

    async def clear(self) -> None:
        """Removes all faults, waits for Postgres, and signs in every member whose session is dead."""
        if self._restarting is not None:
            await self._restarting
        self._zone.silent, self._zone.after_s = False, 0.0
        for url in (self._stack.aimharder_url, self._stack.qstash_url):
            await self._lift(f"{url}/_control/faults")
        await self._stack.control(self._stack.supabase_url, "faults", [])
        ended = time.time()
        self.fault_windows += [
            FaultWindow(where, kind, began, ended, box) for where, kind, began, box in self._cut_short
        ]
        living = {
            session["renewals"][-1]["token"]
            for session in (await self._at_gym("sessions"))["sessions"]
            if session["ended_by"] is None
        }
        for email, token in (await self._rows.sessions()).items():
            if token not in living:
                await self.sign_in(email)

    async def sign_in(self, email: str) -> None:
        """A member logs in again, at the web application."""
        answer = await self._at_gym("sessions", [{"member": email}])
        await self._rows.sign_in(answer["members"][0])

    async def _repeat(self, inject: Callable[[], Awaitable[None]], *calms: tuple[float, float]) -> None:
        """Alternates pauses, each drawn from one of `calms`, with calls of `inject`."""
        while True:
            await asyncio.sleep(self._rng.uniform(*self._rng.choice(calms)))
            await inject()

    @contextmanager
    def _recorded(self, where: str, kind: str, box: str | None = None) -> Iterator[None]:
        began = time.time()
        try:
            yield
        except asyncio.CancelledError:  # it lasts until all are cleared
            self._cut_short.append((where, kind, began, box))
            raise
        self.fault_windows.append(FaultWindow(where, kind, began, time.time(), box))

    # ---- the gym -------------------------------------------------------------------------------------------------

    async def _gym_faults(self) -> None:
        kind, fault = gym_fault(self._rng)
        fault = {"times": self._rng.choice((2, 5, 20, 60))} | fault
        with self._recorded("gym", kind, fault.get("box")):
            number = (await self._at_gym("faults", fault))["faults"][0]
            await asyncio.sleep(self._rng.uniform(0.5, 4.0))
            left = (await self._at_gym("faults"))["faults"].get(str(number))
            await self._lift(f"{self._stack.aimharder_url}/_control/faults?id={number}")
        self.injected[f"gym: {kind}"] += 1 if kind == "refuse" else fault["times"] - (left["times"] if left else 0)

    async def _slow_rotations(self) -> None:
        fault = slow_rotations(self._rng)
        await self._while("slow rotations", [fault], self._rng.uniform(3.0, 15.0))

    async def _account_host_silent(self) -> None:
        await self._while("account host silent", silent_account_host(), self._rng.choice((10.0, 30.0, 120.0)))

    async def _names_faults(self) -> None:
        """The gym's name does not resolve, or too slowly."""
        kind, self._zone.after_s = slow_names(self._rng)
        self._zone.silent = not self._zone.after_s
        with self._recorded("gym", kind):
            await asyncio.sleep(self._rng.uniform(2.0, 10.0))
        self._zone.silent, self._zone.after_s = False, 0.0
        self.injected[f"gym: {kind}"] += 1

    async def _while(self, kind: str, faults: list[dict[str, Any]], seconds: float) -> None:
        with self._recorded("gym", kind):
            numbers = (await self._at_gym("faults", faults))["faults"]
            await asyncio.sleep(seconds)
            for number in numbers:
                await self._lift(f"{self._stack.aimharder_url}/_control/faults?id={number}")
        self.injected[f"gym: {kind}"] += 1

    async def _sessions_die(self) -> None:
        await self._die(self._rng.sample(members(), self._rng.randint(1, 4)))

    async def _sessions_signed_in_die(self) -> None:
        """Of those who have signed in with a password, which the service may remember."""
        signed_in = self.signed_in()
        await self._die(self._rng.sample(signed_in, min(len(signed_in), self._rng.randint(1, 3))))

    async def _die(self, dying: list[str]) -> None:
        await self._at_gym("sessions/kill", [{"member": email} for email in dying])
        self.injected["gym: session dead"] += len(dying)

    async def _members_sign_in(self) -> None:
        """Members whose session was found dead sign in again, in time."""
        found = await self._rows.with_dead_sessions()
        await asyncio.gather(*(self.members_sign_in(email) for email in found if self._rng.random() < 0.3))

    async def _at_gym(self, what: str, content: Any = None) -> Any:
        """A switch of the gym; while its door is shut, once it is open again."""
        while True:
            try:
                return await self._stack.control(self._stack.aimharder_url, what, content)
            except _SHUT:
                await asyncio.sleep(0.1)

    async def _lift(self, url: str) -> None:
        while True:
            try:
                (await self._stack.http.request("DELETE", url)).raise_for_status()
                return
            except _SHUT:
                await asyncio.sleep(0.1)

    # ---- the database --------------------------------------------------------------------------------------------

    async def _database_faults(self) -> None:
        kind, seconds, faults = database_faults(self._rng)
        with self._recorded("database", kind):
            set_ = await self._stack.control(self._stack.supabase_url, "faults", faults)
            await asyncio.sleep(seconds)
            left = await self._stack.control(self._stack.supabase_url, "faults")
            await self._stack.control(self._stack.supabase_url, "faults", [])
        was, is_ = _by_kind(set_), _by_kind(left)
        for one in was:
            self.injected[f"database: {one}"] += was[one] - is_[one]

    async def _postgres_restarts(self) -> None:
        with self._recorded("database", "restart"):
            self._restarting = asyncio.create_task(self._stack.postgres.restart(immediate=True))
            await asyncio.shield(self._restarting)
        self.restarts += 1

    # ---- QStash --------------------------------------------------------------------------------------------------

    async def _qstash_faults(self) -> None:
        kind, switches = qstash_faults(self._rng)
        with self._recorded("qstash", kind):
            await self._stack.control(self._stack.qstash_url, "faults", switches)
            await asyncio.sleep(self._rng.uniform(2.0, 8.0))
            left = await self._stack.control(self._stack.qstash_url, "faults")
            await self._stack.control(self._stack.qstash_url, "faults", dict.fromkeys(switches))
        for name, switch in switches.items():
            injected = switch["next"] - left[name]["next"] if "next" in switch else 1
            self.injected[f"qstash: {name.removeprefix('api_').replace('_', ' ')}"] += injected


def _by_kind(faults: list[dict[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for fault in faults:
        counted[fault["kind"]] += fault["times"]
    return counted
