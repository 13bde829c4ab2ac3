"""The sweep: one pass over the database that does the work that no delivery has done.

It is called by the loop of each replica, by the command, and by the QStash schedule. It executes the rows that are due
and unclaimed, settles the parked ones, ends those that are over, and schedules the messages that are missing or
addressed to an earlier PUBLIC_URL. Several replicas may sweep at once: each id goes through the same claim.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any
from uuid import UUID

import structlog

from prebooking.domain.budget import Budget
from prebooking.domain.errors import MessagingError, StoreUnavailableError
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.ports import Clock, Metrics, Store
from prebooking.domain.sweep_result import NeedsMessage, SweepResult
from prebooking.usecases.booking.executor import Executor
from prebooking.usecases.publishing import PublishCircuitBreaker, RefusedMessages
from prebooking.usecases.schedule import Scheduler

_log = structlog.get_logger()

_BUSY_S = 1.0  # the longest pause while a row is executing or opens within 10 s
_SHORTEST_S = 0.02
_FIRST_S = 0.5  # after a delivery's arrival on a host that sleeps: most are answered by then
_PIECE_S = 1.0  # part of a pause: asyncio's timers do not count the time of a suspend
_TIMER_S = 0.001  # asyncio's timers may end that much early
_DATABASE_PAUSE_S = 1.0
_SETTLED_AT_ONCE = 8  # parked rows can wait
_PUBLISHING = UUID(int=0)  # the key of the one publishing task among the executions


class SweepTimer:
    """Pauses the sweep of this process, until the time is up or a row that was created here becomes due."""

    def __init__(self, lead_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lead_s = lead_s
        self._monotonic = monotonic
        self._until = inf
        self._due = asyncio.Event()

    def wake_for(self, available_at: datetime) -> None:
        if available_at.timestamp() - self._lead_s < self._until:
            self._due.set()

    async def sleep(self, now: float, seconds: float) -> None:
        """Sleeps for so many seconds, those of a suspend included.

        `now`: the database's time, which decides what is due.
        """
        self._until, ends = now + seconds, self._monotonic() + seconds
        while not self._due.is_set() and (left := ends - self._monotonic()) > _TIMER_S:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _PIECE_S)):
                    await self._due.wait()
        self._due.clear()
        self._until = inf  # a row that is created during the next pass may not be in its result


class Sweeper:
    def __init__(
        self,
        store: Store,
        executor: Executor,
        scheduler: Scheduler,
        breaker: PublishCircuitBreaker,
        clock: Clock,
        opening_clock: OpeningClock,
        timer: SweepTimer,
        metrics: Metrics,
        *,
        address: str,
        lead_s: float,
        max_delay_s: float,
        per_minute: int,
        every_s: float,
    ) -> None:
        self._store = store
        self._executor = executor
        self._scheduler = scheduler
        self._breaker = breaker
        self._clock = clock
        self._opening_clock = opening_clock
        self._timer = timer
        self._metrics = metrics
        self._lead_s = lead_s
        self._max_delay_s = max_delay_s
        self._address = address
        self._per_minute = per_minute
        self._every_s = every_s
        self._under_way: dict[UUID, asyncio.Task[object]] = {}
        self._to_settle: deque[UUID] = deque()  #: as the last sweep found them
        self._settling: set[UUID] = set()
        self._deliveries: list[Budget] = []  #: under way, on a host that sleeps between requests
        self._waking: asyncio.Task[None] | None = None
        self._refused = RefusedMessages(clock)

    async def sweep(self, budget: Budget | None = None) -> SweepResult:
        """Runs one pass. The work that it found is under way when it returns (see `wait_idle`).

        Raises StoreUnavailableError.
        """
        work = await self._store.sweep(
            lead_s=self._lead_s, max_delay_s=self._max_delay_s, address=self._address, per_minute=self._per_minute
        )
        # Hours may pass between two claims: a step of either clock is noticed here.
        self._opening_clock.update(work.now, work.sent_at, self._clock.monotonic())
        due = [i for i in work.execute if i not in self._under_way]
        for prebooking_id in due:
            self._start(prebooking_id, self._executor.execute(prebooking_id, None, budget))
        self._to_settle = deque(i for i in work.settle if i not in self._under_way)
        due += self._to_settle
        self._settle(budget)
        if work.publish and _PUBLISHING not in self._under_way and not self._breaker.paused:
            self._start(_PUBLISHING, self._publish(self._refused.due(work.publish)))
        self._metrics.count_sweep(found=len(due) + len(work.publish))
        if due:
            _log.info("swept", executed=len(due), to_publish=len(work.publish))
        return work

    @asynccontextmanager
    async def awake(self, budget: Budget) -> AsyncIterator[None]:
        """Sweeps during a delivery, on a host that sleeps between requests.

        Otherwise due rows would wait for their own messages, which QStash holds back while the deliveries of one user
        or one silent gym use up its parallelism. Exits when the work that was found has ended, or at the end of the
        budget.
        """
        if self._every_s:
            yield
            return
        self._deliveries.append(budget)
        self._waking = self._waking or asyncio.create_task(self._sweep_while_awake())
        try:
            yield
        finally:
            self._deliveries.remove(budget)
            if not self._deliveries:
                self._waking.cancel()
                self._waking = None
        if not self._deliveries and self._under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(budget.left):
                    await self.wait_idle()

    async def _sweep_while_awake(self) -> None:
        await self._timer.sleep(inf, _FIRST_S)
        while True:
            await self._pass(max(self._deliveries, key=attrgetter("arrived")))

    async def close(self) -> None:
        """Waits for the executions, which end by their budgets; messages can wait for another sweep."""
        if publishing := self._under_way.get(_PUBLISHING):
            publishing.cancel()
        await self.wait_idle()

    async def wait_idle(self) -> None:
        """Returns when the work of all sweeps has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)

    def _settle(self, budget: Budget | None) -> None:
        """Starts settling rows, at most a few at a time."""
        while self._to_settle and len(self._settling) < _SETTLED_AT_ONCE and not self._executor.stopping:
            prebooking_id = self._to_settle.popleft()
            if prebooking_id in self._under_way:
                continue
            self._settling.add(prebooking_id)
            settling = self._executor.execute(prebooking_id, None, budget, settles=True)
            self._start(prebooking_id, settling, then=partial(self._settled, prebooking_id, budget))

    def _settled(self, prebooking_id: UUID, budget: Budget | None) -> None:
        self._settling.discard(prebooking_id)
        self._settle(budget)

    def _start(self, key: UUID, work: Coroutine[Any, Any, object], *, then: Callable[[], None] = lambda: None) -> None:
        """Starts a task beside the sweep: a slow gym or QStash must not delay the next opening."""
        task = self._under_way[key] = asyncio.create_task(work)

        def ended(task: asyncio.Task[object]) -> None:
            del self._under_way[key]
            then()
            if not task.cancelled() and task.exception():
                _log.error("sweep_failed", prebooking_id=str(key), exc_info=task.exception())

        task.add_done_callback(ended)

    async def run(self) -> None:
        """Sweeps until it is cancelled, whenever there is something to do."""
        while True:
            await self._pass()

    async def _pass(self, budget: Budget | None = None) -> None:
        """Sweeps once, then sleeps until there is something to do."""
        now = inf  # unknown: every row that is created meanwhile ends the pause
        try:
            work = await self.sweep(budget)
            now, pause = work.now.timestamp(), self._pause_s(work)
        except StoreUnavailableError as exc:
            _log.warning("sweep_interrupted", reason=str(exc))
            pause = _DATABASE_PAUSE_S
        except Exception:  # noqa: BLE001  # a bug in one pass must not end the sweeps
            _log.exception("sweep_failed")
            pause = self._every_s or _BUSY_S
        await self._timer.sleep(now, pause)

    def _pause_s(self, work: SweepResult) -> float:
        longest = min(self._every_s, _BUSY_S) if work.busy and self._every_s else self._every_s or _BUSY_S
        jittered = longest * random.uniform(0.8, 1)  # noqa: S311  # spreads replicas, guards nothing
        if work.next_at is not None:
            jittered = min(jittered, (work.next_at - work.now).total_seconds())
        return max(_SHORTEST_S, jittered)

    async def _publish(self, missing: Sequence[NeedsMessage]) -> None:
        for found in missing:
            try:
                await self._scheduler.publish(
                    found.prebooking, delivery_failures=found.delivery_failures, readdressed=found.readdressed
                )
            except (MessagingError, StoreUnavailableError) as exc:
                if isinstance(exc, MessagingError) and exc.pause:
                    return  # logged once for all messages
                _log.warning("message_not_scheduled", prebooking_id=str(found.prebooking.id), reason=str(exc))
                if isinstance(exc, StoreUnavailableError):
                    return
                self._refused.note(found)
                if self._refused.too_many:
                    return
