"""Bad weather over the gym, the database and QStash, each a while at a time, by the stand-ins' own switches.

What is outside stays outside (see README.md): a request is carried out at most 6 s after its arrival, a listing is at
most 4 s old, and only in the gym that refuses the same hour twice.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
from plan import STRICT, members
from rows import Rows

from prebooking.local.stack import Stack

_MANY = 1_000_000
_BOOK, _LISTING, _WHOAMI, _REFRESH = "/api/book", "/api/bookings", "/api/whoami", "/api/tokenUpdate"
_FUNCTIONS = (
    *("create_prebooking", "attach_message", "cancel_prebooking", "reschedule_prebooking", "retry_prebooking"),
    *("note_delivery_failure", "list_prebookings", "claim_prebooking", "begin_booking", "finish_booking"),
    *("release_prebooking", "park_prebooking", "sweep_prebookings", "lease_session", "save_session"),
)


@dataclass(frozen=True, slots=True)
class Spell:
    """When it was bad, and where. Epoch seconds."""

    where: str  #: gym, database, qstash
    kind: str
    began: float
    ended: float
    box: str | None = None


class Weather:
    """Blows until it is told to calm down; counts what it did."""

    def __init__(self, stack: Stack, rows: Rows, rng: Random) -> None:
        self._stack = stack
        self._rows = rows
        self._rng = rng
        self.spells: list[Spell] = []
        self.strikes: Counter[str] = Counter()
        self.restarts = 0
        self._restarting: asyncio.Task[None] | None = None

    async def blow(self) -> None:
        """Returns when it is cancelled; see `clear`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._turns(self._gym_spell, (0.5, 3.0)))
            group.create_task(self._turns(self._database_spell, (0.5, 3.0), (5.0, 12.0)))
            group.create_task(self._turns(self._qstash_spell, (0.5, 3.0), (5.0, 8.0)))
            group.create_task(self._turns(self._sessions_die, (3.0, 9.0)))
            group.create_task(self._turns(self._members_sign_in, (1.0, 2.0)))
            group.create_task(self._turns(self._postgres_restarts, (15.0, 40.0)))

    async def clear(self) -> None:
        """Everything off, Postgres up, and every session alive."""
        if self._restarting is not None:
            await self._restarting
        for url in (self._stack.aimharder_url, self._stack.qstash_url):
            await self._lift(f"{url}/_control/faults")
        await self._stack.control(self._stack.supabase_url, "faults", [])
        for email in members():
            await self.sign_in(email)

    async def sign_in(self, email: str) -> None:
        """A member logs in again, at the web application."""
        answer = await self._at_gym("sessions", [{"member": email}])
        await self._rows.sign_in(answer["members"][0])

    async def _turns(self, spell: Callable[[], Awaitable[None]], *calms: tuple[float, float]) -> None:
        """Calm for a while, then a spell, and so on."""
        while True:
            await asyncio.sleep(self._rng.uniform(*self._rng.choice(calms)))
            await spell()

    @contextmanager
    def _noted(self, where: str, kind: str, box: str | None = None) -> Iterator[None]:
        began = time.time()
        try:
            yield
        finally:
            self.spells.append(Spell(where, kind, began, time.time(), box))

    # ---- the gym -------------------------------------------------------------------------------------------------

    async def _gym_spell(self) -> None:
        kind, fault = gym_fault(self._rng)
        fault = {"times": self._rng.choice((2, 5, 20, 60))} | fault
        with self._noted("gym", kind, fault.get("box")):
            number = (await self._at_gym("faults", fault))["faults"][0]
            await asyncio.sleep(self._rng.uniform(0.5, 4.0))
            left = (await self._at_gym("faults"))["faults"].get(str(number))
            await self._lift(f"{self._stack.aimharder_url}/_control/faults?id={number}")
        self.strikes[f"gym: {kind}"] += 1 if kind == "refuse" else fault["times"] - (left["times"] if left else 0)

    async def _sessions_die(self) -> None:
        dying = self._rng.sample(members(), self._rng.randint(1, 4))
        await self._at_gym("sessions/kill", [{"member": email} for email in dying])
        self.strikes["gym: session dead"] += len(dying)

    async def _members_sign_in(self) -> None:
        """Whoever was told that the session is dead does something about it."""
        for email in await self._rows.told_to_sign_in():
            if self._rng.random() < 0.3:
                await self.sign_in(email)

    async def _at_gym(self, what: str, content: Any = None) -> Any:
        """A switch of the gym; while its door is shut, once it is open again."""
        while True:
            try:
                return await self._stack.control(self._stack.aimharder_url, what, content)
            except httpx.ConnectError:
                await asyncio.sleep(0.1)

    async def _lift(self, url: str) -> None:
        while True:
            try:
                (await self._stack.http.request("DELETE", url)).raise_for_status()
                return
            except httpx.ConnectError:
                await asyncio.sleep(0.1)

    # ---- the database --------------------------------------------------------------------------------------------

    async def _database_spell(self) -> None:
        kind, faults = database_faults(self._rng)
        with self._noted("database", kind):
            set_ = await self._stack.control(self._stack.supabase_url, "faults", faults)
            await asyncio.sleep(self._rng.uniform(0.3, 2.5))
            left = await self._stack.control(self._stack.supabase_url, "faults")
            await self._stack.control(self._stack.supabase_url, "faults", [])
        was, is_ = _by_kind(set_), _by_kind(left)
        for one in was:
            self.strikes[f"database: {one}"] += was[one] - is_[one]

    async def _postgres_restarts(self) -> None:
        with self._noted("database", "restart"):
            self._restarting = asyncio.create_task(self._stack.postgres.restart(immediate=True))
            await asyncio.shield(self._restarting)
        self.restarts += 1

    # ---- QStash --------------------------------------------------------------------------------------------------

    async def _qstash_spell(self) -> None:
        kind, switches = qstash_faults(self._rng)
        with self._noted("qstash", kind):
            await self._stack.control(self._stack.qstash_url, "faults", switches)
            await asyncio.sleep(self._rng.uniform(2.0, 8.0))
            left = await self._stack.control(self._stack.qstash_url, "faults")
            await self._stack.control(self._stack.qstash_url, "faults", dict.fromkeys(switches))
        for name, switch in switches.items():
            struck = switch["next"] - left[name]["next"] if "next" in switch else 1
            self.strikes[f"qstash: {name.removeprefix('api_').replace('_', ' ')}"] += struck


def gym_fault(rng: Random) -> tuple[str, dict[str, Any]]:
    """How often each comes is for most bookings to have a chance."""
    path = rng.choices((_BOOK, _LISTING, _WHOAMI, _REFRESH, None), (10, 4, 3, 1, 2))[0]
    done = {"handled": rng.random() < 0.7}
    kinds: list[tuple[str, int, dict[str, Any]]] = [
        ("slow", 4, {"kind": "slow", "path": path, "seconds": rng.choice((rng.uniform(0.3, 3), rng.uniform(3, 30)))}),
        ("hang", 2, {"kind": "hang", "path": path} | done),
        ("reset", 3, {"kind": "reset", "path": path} | done),
        ("truncated", 3, {"kind": "truncated", "path": path} | done),
        ("error page", 4, {"kind": "status", "path": path, "status": rng.choice((500, 502, 503, 504))} | done),
        ("login page", 2, {"kind": "login_page", "path": path} | done),
        ("blocked", 2, {"kind": "status", "path": path, "status": rng.choice((403, 429))}),
        ("too early", 2, {"kind": "clock", "path": _BOOK, "seconds": -rng.uniform(0.2, 2)}),
        ("stale", 3, {"kind": "stale", "path": _LISTING, "seconds": rng.uniform(0.5, 4), "box": STRICT["slug"]}),
        ("late", 3, {"kind": "late", "path": _BOOK, "seconds": rng.uniform(0.5, 6)}),
        ("logout", 2, {"kind": "logout", "path": rng.choice((_WHOAMI, _WHOAMI, _BOOK))}),
        ("refuse", 2, {"kind": "refuse", "seconds": rng.uniform(0.3, 3)}),
    ]
    kind, _, fault = rng.choices(kinds, [weight for _, weight, _ in kinds])[0]
    return kind, fault


def database_faults(rng: Random) -> tuple[str, list[dict[str, Any]]]:
    """Mostly a drizzle over the functions, now and then a squall over all of them."""
    if rng.random() < 0.75:
        drops = [
            {
                "kind": rng.choice(("lose_answer", "lose_answer", "drop", "unavailable", "blank", "delay")),
                "function": rng.choice(_FUNCTIONS),
                "times": rng.randint(1, 8),
                "seconds": rng.choice((0, 0, rng.uniform(0.1, 2))),
            }
            for _ in range(25)
        ]
        return "drizzle", drops
    kind = rng.choice(("lose_answer", "drop", "unavailable", "delay"))
    return f"squall: {kind}", [{"kind": kind, "times": _MANY, "seconds": 1.5 if kind == "delay" else 0}]


def qstash_faults(rng: Random) -> tuple[str, dict[str, Any]]:
    """Down, or a mixture: messages shifted and doubled and lost, and an API that fails in all ways."""
    if rng.random() < 0.3:
        return "down", {"down": {"value": True}}
    values = {
        "copies": (rng.randint(2, 3), 0.4),
        "lost": (True, 0.3),
        "shift_s": (rng.uniform(-6, 3), 0.5),
        "ahead": (True, 0.5),
        "api_status": (rng.choice((429, 500)), 0.4),
        "api_answer_lost": (True, 0.4),
        "api_refused": (True, 0.3),
        "api_hangs": (True, 0.2),
    }
    chosen = rng.sample(list(values), 2)
    return " and ".join(chosen), {
        name: {"value": values[name][0], "probability": values[name][1], "next": _MANY, "seed": rng.randrange(10**6)}
        | ({"on": rng.choice(("publish", "any"))} if name.startswith("api_") else {})
        for name in chosen
    }


def _by_kind(faults: list[dict[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for fault in faults:
        counted[fault["kind"]] += fault["times"]
    return counted
