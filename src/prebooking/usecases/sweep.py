"""The pass that repairs. One function, three callers: the loop of each replica, the command, the QStash schedule.

It executes what is due and unclaimed, settles what is parked, ends what is over, and orders the messages that are
missing. Several replicas may sweep side by side: each id goes through the same claim.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from math import inf
from typing import Any
from uuid import UUID

import structlog

from prebooking.domain.errors import MessagingError, StoreUnavailableError
from prebooking.domain.metering import Meter
from prebooking.domain.ports import Clock, Store, Unscheduled, Work
from prebooking.domain.timing import OpeningClock
from prebooking.usecases.execute import Executor
from prebooking.usecases.schedule import Scheduler

_log = structlog.get_logger()

_BUSY_S = 1.0  # the longest nap while a row is executing or opens within 10 s
_SHORTEST_S = 0.02
_PIECE_S = 1.0  # of a nap: a timer does not count what passes in a suspend
_DATABASE_PAUSE_S = 1.0
_PUBLISHING = UUID(int=0)  # the key of the one publishing task among the executions
_PUBLISH_PAUSES_S = (5.0, 300.0)  # first and longest, doubling, while QStash takes no orders


class Alarm:
    """Wakes the sweep of this process for a row that was made here and is due before the nap ends."""

    def __init__(self, lead_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lead_s = lead_s
        self._monotonic = monotonic
        self._until = inf
        self._rung = asyncio.Event()

    def ring_for(self, available_at: datetime) -> None:
        if available_at.timestamp() - self._lead_s < self._until:
            self._rung.set()

    async def nap(self, now: float, seconds: float) -> None:
        """`now`: by the clock that decides what is due, the database's. Time that passes in a suspend counts."""
        self._until, ends = now + seconds, self._monotonic() + seconds
        while not self._rung.is_set() and (left := ends - self._monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _PIECE_S)):
                    await self._rung.wait()
        self._rung.clear()
        self._until = inf  # what is made while the sweep looks it may not have seen


class Sweeper:
    def __init__(
        self,
        store: Store,
        executor: Executor,
        scheduler: Scheduler,
        clock: Clock,
        opening_clock: OpeningClock,
        alarm: Alarm,
        meter: Meter,
        *,
        lead_s: float,
        max_delay_s: float,
        every_s: float,
    ) -> None:
        self._store = store
        self._executor = executor
        self._scheduler = scheduler
        self._clock = clock
        self._opening_clock = opening_clock
        self._alarm = alarm
        self._meter = meter
        self._lead_s = lead_s
        self._max_delay_s = max_delay_s
        self._every_s = every_s
        self._under_way: dict[UUID, asyncio.Task[object]] = {}
        self._publish_from = 0.0
        self._publish_pause = _PUBLISH_PAUSES_S[0]

    async def sweep(self, arrived: float | None = None) -> Work:
        """One pass: what it found is under way when it returns (see `settled`). Raises StoreUnavailableError."""
        work = await self._store.sweep(lead_s=self._lead_s, max_delay_s=self._max_delay_s)
        # Between two claims hours may pass; a step of either clock is confirmed before the next.
        self._opening_clock.compare(work.now, work.sent_at, self._clock.monotonic())
        due = [i for i in (*work.execute, *work.settle) if i not in self._under_way]
        for prebooking_id in due:
            self._start(prebooking_id, self._executor.execute(prebooking_id, None, arrived))
        if work.publish and _PUBLISHING not in self._under_way and self._clock.monotonic() >= self._publish_from:
            self._start(_PUBLISHING, self._publish(work.publish))
        self._meter.swept(found=len(due) + len(work.publish))
        if due:
            _log.info("swept", executed=len(due), to_publish=len(work.publish))
        return work

    async def close(self) -> None:
        """At the end of the process: what is executing ends by its budget; messages can wait for another sweep."""
        if publishing := self._under_way.get(_PUBLISHING):
            publishing.cancel()
        await self.settled()

    async def settled(self) -> None:
        """Returns when all that was started has ended."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    def _start(self, key: UUID, work: Coroutine[Any, Any, object]) -> None:
        """Beside the sweep, which goes on: a slow gym or QStash must not keep the next opening waiting."""
        task = self._under_way[key] = asyncio.create_task(work)

        def ended(task: asyncio.Task[object]) -> None:
            del self._under_way[key]
            if not task.cancelled() and task.exception():
                _log.error("sweep_failed", prebooking_id=str(key), exc_info=task.exception())

        task.add_done_callback(ended)

    async def run(self) -> None:
        """Sweeps until it is cancelled, at the instants at which there is something to do."""
        while True:
            now = inf  # unknown: whatever is made meanwhile ends the nap
            try:
                work = await self.sweep()
                now, nap = work.now.timestamp(), self._nap(work)
            except StoreUnavailableError as exc:
                _log.warning("sweep_interrupted", reason=str(exc))
                nap = _DATABASE_PAUSE_S
            except Exception:  # noqa: BLE001  # an error of ours, in one pass; without sweeps nothing heals
                _log.exception("sweep_failed")
                nap = self._every_s
            await self._alarm.nap(now, nap)

    def _nap(self, work: Work) -> float:
        longest = min(self._every_s, _BUSY_S) if work.busy else self._every_s
        jittered = longest * random.uniform(0.8, 1)  # noqa: S311  # spreads replicas, guards nothing
        if work.next_at is not None:
            jittered = min(jittered, (work.next_at - work.now).total_seconds())
        return max(_SHORTEST_S, jittered)

    async def _publish(self, missing: Sequence[Unscheduled]) -> None:
        for found in missing:
            try:
                await self._scheduler.publish(found.prebooking, delivery_failures=found.delivery_failures)
            except (MessagingError, StoreUnavailableError) as exc:
                _log.warning("message_not_scheduled", prebooking_id=str(found.prebooking.id), reason=str(exc))
                if isinstance(exc, StoreUnavailableError):
                    return
                if exc.pause:
                    self._publish_from = self._clock.monotonic() + self._publish_pause
                    self._publish_pause = min(2 * self._publish_pause, _PUBLISH_PAUSES_S[1])
                    return
            else:
                self._publish_pause = _PUBLISH_PAUSES_S[0]
