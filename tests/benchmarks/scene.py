"""Where the contestants meet: one gym that stamps every arrival, one QStash, one Postgres, and the same members."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import psutil
from tests.support.named_gym import ZONE, by_name

from prebooking_local.names import NameServer, name_server
from prebooking_local.stack import UNLIMITED, Member, Ports, Stack, outside, service

BOX = {"slug": "mygym", "boid": 7}
BOOK = "/api/book"
NANO = 1_000_000_000
_T = TypeVar("_T")
Cores = Literal["apart", "shared"]
Gym = Literal["named", "address"]


@dataclass(frozen=True, slots=True)
class Person:
    member: Member
    cookie: str  #: the session as one header


@dataclass(frozen=True, slots=True)
class Arrival:
    """One booking request, by the gym's own stamps, in milliseconds after the opening."""

    person: int
    first_byte_ms: float
    last_byte_ms: float


class Scene:
    """A stack with `count` members signed up, and a new class for each round."""

    def __init__(self, stack: Stack, people: list[Person], names: NameServer, start_s: float) -> None:
        self.start_s = start_s  #: from the start of the service's process to its readiness
        self.stack = stack
        self.people = people
        self.names = names
        self.service = _service(stack)
        self._numbers = {person.member.email: i for i, person in enumerate(people)}
        self._class_id = 1000

    def cpu_ms(self) -> float:
        """What the service has used since its start."""
        times = self.service.cpu_times()
        return float(times.user + times.system) * 1000

    async def announce(self, opens_at: datetime) -> tuple[int, str]:
        """Puts a class up that has room for all; its id and day."""
        class_id = self._class_id = self._class_id + 1
        # One class an hour and person: each round has a day of its own.
        day = f"{opens_at + timedelta(days=4 + class_id):%Y%m%d}"
        await self.stack.control(
            self.stack.aimharder_url,
            "classes",
            {
                "box": BOX["slug"],
                "id": class_id,
                "day": day,
                "opens_at": opens_at.isoformat(),
                "capacity": len(self.people) + 10,
            },
        )
        return class_id, day

    async def arrivals(self, opens_at: datetime, class_id: int) -> list[Arrival]:
        """Who asked for this class, in the order of arrival."""
        opened = int(opens_at.timestamp() * 1_000_000) * 1000
        ledger = (await self.stack.control(self.stack.aimharder_url, "ledger"))["requests"]
        mine = [e for e in ledger if e["path"] == BOOK and str(e["form"].get("id")) == str(class_id)]
        found = [
            Arrival(
                self._numbers[entry["member"]],
                (entry["first_byte_ns"] - opened) / 1e6,
                (entry["last_byte_ns"] - opened) / 1e6,
            )
            for entry in mine
        ]
        return sorted(found, key=lambda arrival: arrival.last_byte_ms)

    async def hang_up_on_idle(self, after_s: float) -> None:
        """The gym closes each connection on which nothing has happened for so long."""
        idle = {"kind": "idle_timeout_s", "seconds": after_s}
        await self.stack.control(self.stack.aimharder_url, "faults", idle)

    async def forget(self) -> None:
        """Empties the gym's ledger, so that reading it stays quick."""
        await self.stack.http.request("DELETE", f"{self.stack.aimharder_url}/_control/ledger")


def whole_second(ahead_s: float) -> datetime:
    """The first whole second at least so far ahead: QStash rings at whole seconds."""
    later = datetime.now(UTC) + timedelta(seconds=ahead_s)
    return later.replace(microsecond=0) + timedelta(seconds=1)


async def sleep_until(instant: datetime, extra_s: float = 0.0) -> None:
    await asyncio.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds() + extra_s))


async def side_by_side(count: int, step: Callable[[int], Awaitable[_T]], at_once: int = 16) -> list[_T]:
    """Runs the step for each number below `count`, so many at once. Returns the results in their order."""
    line = asyncio.Semaphore(at_once)

    async def one(number: int) -> _T:
        async with line:
            return await step(number)

    return await asyncio.gather(*(one(number) for number in range(count)))


@asynccontextmanager
async def open_scene(
    count: int, program: str = "named_service.py", cores: Cores = "apart", gym: Gym = "named", /, **settings: str
) -> AsyncIterator[Scene]:
    """Starts the stack, with a `program` of this folder as its service; `settings` are more of its environment.

    `cores`: shared by all processes, or the gym has one of its own, and all else the others.
    `gym`: the service finds it by its name, for which it asks a name server, or has its address.
    """
    members = [Member(f"m{i:04}@example.com", "secret", f"Member {i}") for i in range(count)]
    async with (
        name_server() as names,
        outside(Ports(0, 0, 0, 0), (), parallelism=max(100, count), **UNLIMITED, **settings) as stack,
    ):
        names.put(f"*.{ZONE}", ("127.0.0.1",))
        if gym == "named":
            stack.environment |= by_name(stack, names)
        # Compiled once, as a deployment is: a machine for tests may forbid it. The database's URL is for
        # plain_webhook.py; the service does not read it.
        stack.environment |= {"PYTHONDONTWRITEBYTECODE": "", "DATABASE_URL": stack.database_url}
        started = time.monotonic()
        async with service(stack, str(Path(__file__).with_name(program))):
            start_s = time.monotonic() - started
            if cores == "apart":
                _keep_apart(stack)
            await stack.control(stack.aimharder_url, "boxes", BOX)
            sessions = await stack.enrol(members)
            people = [Person(m, _header(s["cookies"])) for m, s in zip(members, sessions, strict=True)]
            yield Scene(stack, people, names, start_s)


def _service(stack: Stack) -> psutil.Process:
    """The service itself, behind its leash."""
    (process,) = psutil.Process(stack.processes["service"].pid).children()
    return process


def _keep_apart(stack: Stack) -> None:
    """The gym is another machine in life. Here it gets a core to which none of those who write to it may go.

    Left alone the scheduler wakes it on the core of the very process that writes, and its stamps wait for the end of
    that process's time slice: 4 ms.
    """
    *others, its_own = sorted(os.sched_getaffinity(0))
    if not others:
        return
    psutil.Process(stack.processes["aimharder"].pid).cpu_affinity([its_own])
    for writer in (psutil.Process(), _service(stack)):
        writer.cpu_affinity(others)


def _header(cookies: list[dict[str, str]]) -> str:
    return "; ".join(f"{c['name']}={c['value']}" for c in cookies)
