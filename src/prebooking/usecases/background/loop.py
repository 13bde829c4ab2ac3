"""The background tasks of a replica: they send notices, check sessions, remove old rows, settle cancellations at the
gym, and create the due prebookings of series.

They run independently of each other: an account host that is silent delays no notice. None runs close to an opening.
Work that one leaves undone is done by its next pass, or by another replica.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from prebooking.domain.budget import Budget
from prebooking.domain.errors import StoreRefusedError, StoreUnavailableError
from prebooking.usecases.background.notifications import NoticePublisher
from prebooking.usecases.background.retention import Retention
from prebooking.usecases.giving_back import GiveBack
from prebooking.usecases.series import WeeklySeries
from prebooking.usecases.sessions.watch import SessionWatch

_log = structlog.get_logger()

# Between two passes. A session's last check falls due 5 minutes before its opening, so it is never missed.
_EVERY_S = 20.0
# Between the end of a prebooking and the pass that it requests: other prebookings end at the same moment, and one pass
# sends the notices of all.
_DEBOUNCE_S = 0.3


class _BackgroundTask:
    """One background task. Its passes never overlap."""

    def __init__(self, name: str, work: Callable[[float], Awaitable[object]]) -> None:
        self._name = name
        self._work = work
        self._lock = asyncio.Lock()
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Requests a pass."""
        self._requested.set()

    async def once(self, until: float) -> None:
        """Runs one pass, which begins nothing long after `until` (on the monotonic clock)."""
        async with self._lock:
            self._requested.clear()
            try:
                await self._work(until)
            except (StoreUnavailableError, StoreRefusedError) as exc:
                _log.warning("chores_interrupted", task=self._name, reason=str(exc))

    async def if_requested(self) -> None:
        """Runs the requested pass, unless it has run meanwhile."""
        async with self._lock:
            if self._requested.is_set():
                self._requested.clear()
                await self._work(math.inf)

    async def run(self) -> None:
        """Runs passes until it is cancelled."""
        while True:
            try:
                await self.once(math.inf)
            except Exception:  # noqa: BLE001  # a bug in one pass must not end the others
                _log.exception("chores_failed", task=self._name)
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S * random.uniform(0.8, 1)):  # noqa: S311  # spreads replicas
                    await self._requested.wait()
                    await asyncio.sleep(_DEBOUNCE_S)


class BackgroundTasks:
    def __init__(
        self,
        notifier: NoticePublisher,
        watch: SessionWatch,
        housekeeping: Retention,
        give_back: GiveBack,
        series: WeeklySeries,
    ) -> None:
        self._notifier = notifier
        self._watch = watch
        self._notices = _BackgroundTask("notices", self._publish)
        self._series = _BackgroundTask("series", series.fill_due)
        self._tasks = (
            self._notices,
            _BackgroundTask("sessions", self._check_sessions),
            _BackgroundTask("housekeeping", lambda _: housekeeping.tidy()),
            _BackgroundTask("giving back", lambda _: give_back.settle()),
            self._series,
        )
        self._running = False
        self._passes: set[asyncio.Task[None]] = set()

    def run_soon(self) -> None:
        """Requests a pass of each task. Called when a prebooking has ended."""
        for task in self._tasks:
            task.request()

    async def once(self, until: float = math.inf) -> None:
        """Runs one pass of each task, which begins nothing long after `until` (on the monotonic clock)."""
        await asyncio.gather(*(task.once(until) for task in self._tasks))

    async def within(self, budget: Budget) -> None:
        """Runs one pass within the budget, for hosts that sleep between requests.

        Its rest goes on in the background.
        """
        running = asyncio.create_task(self.once(until=budget.answer_by))
        self._passes.add(running)
        running.add_done_callback(self._passes.discard)
        await asyncio.wait({running}, timeout=max(0.0, budget.left))

    async def before_sleeping(self, within_s: float) -> None:
        """Sends the notices of prebookings that have just ended, on hosts that sleep between requests."""
        await self._before_sleeping(self._notices, within_s)

    async def after_answer(self, within_s: float) -> None:
        """Creates the next prebooking of a series when one has just ended, on hosts that sleep between requests."""
        await self._before_sleeping(self._series, within_s)

    async def _before_sleeping(self, task: _BackgroundTask, within_s: float) -> None:
        if self._running:
            return
        with suppress(TimeoutError, StoreUnavailableError, StoreRefusedError):
            async with asyncio.timeout(within_s):
                await task.if_requested()

    async def run(self) -> None:
        """Runs all tasks until it is cancelled."""
        self._running = True
        await asyncio.gather(*(task.run() for task in self._tasks))

    async def _publish(self, _until: float) -> None:
        await self._notifier.publish()

    async def _check_sessions(self, until: float) -> None:
        if await self._watch.check(until, on_dead=self._notices.request):
            await self._notices.once(math.inf)
