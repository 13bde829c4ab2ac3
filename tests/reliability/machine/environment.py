"""The whole service in virtual time: one replica over HTTP, real Postgres, and the stand-ins around it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import httpx
from tests.postgres.functions import settable_clock
from tests.reliability.machine import history
from tests.support import signing
from tests.support.virtual_time_loop import Clock, VirtualTimeLoop
from tests.support.world import World, open_world

from prebooking import composition
from prebooking.adapters.migrations import migrate
from prebooking.adapters.supabase import rpc as supabase_rpc
from prebooking.concurrency.shutdown import Shutdown
from prebooking.domain.budget import Budget
from prebooking.usecases.booking.executor import Executor
from prebooking.usecases.booking.record import DeliveryResult
from prebooking.usecases.sessions.refresh import SessionRefresher
from prebooking.usecases.sessions.revive import SessionReviver
from prebooking.usecases.sessions.sign_in_again import AutomaticSignIn
from prebooking_local.aimharder import Fault as GymFault
from prebooking_local.aimharder import aimharder_server
from prebooking_local.postgres import Postgres
from prebooking_local.qstash.message import Message
from prebooking_local.qstash.server import qstash_server
from prebooking_local.supabase import call as gateway_call
from prebooking_local.supabase import rpc, supabase_gateway
from prebooking_local.supabase.database import Database

START = datetime(2027, 3, 1, 7, tzinfo=UTC)
LEAD_S = 3
MAX_DURATION_S = 10.0

_DATABASE = "machine_tests"
_UNLIMITED = 10**6  # the model knows no limits by user
_KILLED = "killed"
#: What a kill cuts off; the rest of a process only serves these.
_MORTAL = tuple(
    method.__qualname__
    for method in (
        Executor.execute,
        SessionReviver.revive,
        SessionRefresher._rotate,
        AutomaticSignIn._sign_in,
    )
)


class MortalExecutor(Executor):
    """Each execution is a task of its own, to be killed without its caller."""

    def start(self) -> None:
        """As a new process."""
        self._pipeline.shutdown = Shutdown()

    async def execute(
        self, prebooking_id: UUID, version: int | None, budget: Budget | None = None, *, settles: bool = False
    ) -> DeliveryResult:
        work = asyncio.create_task(super().execute(prebooking_id, version, budget, settles=settles))
        await asyncio.wait({work})
        return DeliveryResult(_KILLED) if work.cancelled() else work.result()


@dataclass(slots=True)
class Delivery:
    """One request of QStash's, under way."""

    path: str
    prebooking_id: str | None
    version: int | None
    sent_at: float
    stopped_s: float  #: for how long the machine had been stopped before
    asked: asyncio.Task[httpx.Response]
    is_old: bool = False  #: its row had a later version when it was sent
    took_s: float = 0.0

    @property
    def killed(self) -> bool:
        """Nobody was left to answer it."""
        answer = self.asked.result()
        return answer.is_success and answer.json()["outcome"] == _KILLED


@dataclass(slots=True)
class Environment:
    loop: VirtualTimeLoop
    clock: Clock
    database: asyncpg.Connection
    world: World
    under_way: list[Delivery] = field(default_factory=list)
    stopped_s: float = 0.0
    _read_until: int = 0

    async def begin(self) -> None:
        """Empty tables, a gym as new, no faults, and the clock at START. QStash delivers nothing by itself."""
        with self.loop.outside_call():
            await self.database.execute(
                "truncate machine.history restart identity;"
                "delete from public.prebookings; delete from public.auth_sessions; delete from prebooking.retries"
            )
        self._read_until = 0
        self.under_way.clear()  # of a run that was given up
        self.clock.start(START)
        # A new process: the monotonic clock starts anew, too.
        self.world.services.sweeper._breaker._accepted()
        self.world.services.executor._pipeline._shared.clock.__init__(self.clock)  # type: ignore[misc]
        self.world.gym.site.reset()
        await self.clear_faults()
        broker = self.world.qstash.qstash.broker
        broker.pending.clear()
        broker.finished.clear()
        self.world.qstash.qstash.faults.change({"down": {"value": True}})
        broker.heed_faults()

    async def inject_gym_fault(self, fault: GymFault) -> int:
        """Returns the fault's number at the gym."""
        return self.world.gym.faults.add(fault)

    async def clear_faults(self) -> None:
        """Removes all faults."""
        self.world.gateway.faults.set()
        self.world.gym.faults.clear()
        faults = ("api_status", "api_limit", "api_refused", "api_hangs", "api_answer_lost")
        self.world.qstash.qstash.faults.change(dict.fromkeys(faults))

    async def changes(self) -> list[history.Change]:
        """Returns the changes of rows since the last call."""
        while self.loop.has_outside_calls:
            await asyncio.sleep(0)
        with self.loop.outside_call():
            found = await self.database.fetch("select * from machine.history where n > $1 order by n", self._read_until)
        if found:
            self._read_until = found[-1]["n"]
        return [history.Change.read(record) for record in found]

    async def ask(self, email: str, method: str, path: str, **content: Any) -> httpx.Response:
        headers = self.world.speaking_for(email)
        return await self.world.http.request(method, path, headers=headers, **content)

    def deliver(self, path: str, body: bytes, prebooking_id: str | None = None, version: int | None = None) -> Delivery:
        asked = self.loop.create_task(signing.deliver(self.world, path, body))
        delivery = Delivery(path, prebooking_id, version, self.loop.time(), self.stopped_s, asked)
        asked.add_done_callback(lambda _: self._answered(delivery))
        self.under_way.append(delivery)
        return delivery

    def wake(self, prebooking_id: str, version: int) -> Delivery:
        return self.deliver(signing.EXECUTE, signing.body_of(prebooking_id, version), prebooking_id, version)

    def _answered(self, delivery: Delivery) -> None:
        delivery.took_s = self.loop.time() - delivery.sent_at - (self.stopped_s - delivery.stopped_s)

    def answered(self) -> list[Delivery]:
        """Returns those that are no longer under way, each once."""
        done = [delivery for delivery in self.under_way if delivery.asked.done()]
        self.under_way = [delivery for delivery in self.under_way if not delivery.asked.done()]
        return done

    async def wait(self, timeout_s: float | None, deliveries: Sequence[Delivery] | None = None) -> None:
        """Returns once they (or all) are answered, or after so long."""
        asked = [delivery.asked for delivery in (self.under_way if deliveries is None else deliveries)]
        if asked:
            await asyncio.wait(asked, timeout=timeout_s)

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.001)  # what was reached is done

    async def pass_time(self, seconds: float) -> None:
        if self.under_way:
            await asyncio.sleep(seconds)
        else:
            await self._jump(seconds)

    async def skip(self, seconds: float) -> None:
        """Time passes in which nothing is executing."""
        await self.wait(None)
        await self._jump(seconds)

    async def stop(self, seconds: float) -> None:
        """Suspends everything for so long; it continues in the middle of what it was doing."""
        self.stopped_s += seconds
        await self._jump(seconds)

    async def _jump(self, seconds: float) -> None:
        """What is on its way through the kernel arrives before; the idle connections that have ended close after."""
        await asyncio.sleep(0.001)
        self.clock.skip(seconds)
        await asyncio.sleep(0.001)

    async def kill(self) -> None:
        """Cancels the replica's work wherever it awaits, as a SIGKILL would end it; it starts anew."""
        while doomed := [task for task in asyncio.all_tasks() if _name(task) in _MORTAL]:
            for task in doomed:
                asyncio.Task.cancel(task)  # also those that nobody else can cancel
            await asyncio.wait(doomed, timeout=0.01)

    async def deploy(self) -> None:
        """Stops the replica gracefully and starts a new one."""
        executor = self.world.services.executor
        assert isinstance(executor, MortalExecutor)
        executor.stop()
        await self.wait(None)
        executor.start()

    def message(self, message_id: str) -> Message:
        """Returns the message as QStash accepted it."""
        broker = self.world.qstash.qstash.broker
        found = broker.pending.get(message_id)
        return found or next(message for message in broker.finished if message.id == message_id)

    async def sign_in(self, email: str) -> None:
        """Stores a session of the user, as the web application does."""
        with self.loop.outside_call():
            await self.database.execute("delete from public.auth_sessions where user_email = $1", email)
            await self.world.member(email, family=[{"id": "77"}])


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")


@asynccontextmanager
async def open_environment(server: Postgres, loop: VirtualTimeLoop) -> AsyncIterator[Environment]:
    clock = Clock(loop)
    clock.start(START)
    perform = gateway_call.perform

    async def perform_now(database: Database, call: gateway_call.Call) -> gateway_call.Result:
        """The database's clock shows ours; its own goes on too fast and too slow."""
        settings = {**call.settings, "prebooking.tests_now": clock.now().isoformat()}
        clock.wall()  # no two transactions see the same instant
        with loop.outside_call():
            return await perform(database, replace(call, settings=settings))

    async with AsyncExitStack() as stack:
        stack.enter_context(patch.object(rpc, "perform", perform_now))
        stack.enter_context(patch.object(composition, "SystemClock", lambda: clock))
        stack.enter_context(patch.object(supabase_rpc, "clock", clock))
        stack.enter_context(patch.object(composition, "Executor", MortalExecutor))
        with loop.outside_call():
            await server.drop_database(_DATABASE)
            dsn = await server.create_database(_DATABASE)
            await migrate(dsn)
            await settable_clock(dsn)
            database = await asyncpg.connect(dsn)
            stack.callback(database.terminate)
            await database.execute(history.SCHEMA)
            gateway = await stack.enter_async_context(supabase_gateway(server.dsn(_DATABASE, user="authenticator")))
        qstash = await stack.enter_async_context(qstash_server(clock=clock))
        gym = await stack.enter_async_context(aimharder_server(clock=clock.nanoseconds))
        world = await stack.enter_async_context(
            open_world(
                *(database, gateway, qstash, gym),
                sweep_seconds=0,
                max_duration_seconds=MAX_DURATION_S,
                max_active_prebookings=_UNLIMITED,
                max_creates_per_minute=_UNLIMITED,
            )
        )
        # A client without a time limit: it stops when everything stops.
        world.http = await stack.enter_async_context(httpx.AsyncClient(base_url=world.url, timeout=None))
        yield Environment(loop, clock, database, world)
