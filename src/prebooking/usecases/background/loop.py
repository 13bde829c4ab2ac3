"""The tasks of a replica beside booking: it sends notices, checks sessions, removes old rows, settles places that were
to be given back, and has the due days of series prebooked.

Each has a lane of its own, so that none waits for another: an account host that is silent delays no notice. They keep
out of the way of openings, and the work that one leaves undone is done by its next pass or by another replica.
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
# Between the end of a prebooking and the pass that it asks for: other prebookings end at the same moment, and one pass
# then sends the notices of all.
_DEBOUNCE_S = 0.3


class _Lane:
    """One task of a replica: its passes take turns, and know nothing of other lanes."""

    def __init__(self, name: str, work: Callable[[float], Awaitable[object]]) -> None:
        self._name = name
        self._work = work
        self._turn = asyncio.Lock()
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """There is something to do."""
        self._wanted.set()

    async def once(self, until: float) -> None:
        """One pass. `until`, on the monotonic clock, begins nothing long any more."""
        async with self._turn:
            self._wanted.clear()
            try:
                await self._work(until)
            except (StoreUnavailableError, StoreRefusedError) as exc:
                _log.warning("chores_interrupted", task=self._name, reason=str(exc))

    async def if_wanted(self) -> None:
        """One pass, unless another has done it meanwhile."""
        async with self._turn:
            if self._wanted.is_set():
                self._wanted.clear()
                await self._work(math.inf)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.once(math.inf)
            except Exception:  # noqa: BLE001  # an error of ours, in one pass
                _log.exception("chores_failed", task=self._name)
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S * random.uniform(0.8, 1)):  # noqa: S311  # spreads replicas
                    await self._wanted.wait()
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
        self._notices = _Lane("notices", self._publish)
        self._series = _Lane("series", series.fill_due)
        self._lanes = (
            self._notices,
            _Lane("sessions", self._look),
            _Lane("housekeeping", lambda _: housekeeping.tidy()),
            _Lane("giving back", lambda _: give_back.settle()),
            self._series,
        )
        self._running = False
        self._passes: set[asyncio.Task[None]] = set()

    def run_soon(self) -> None:
        """Has each lane make a pass presently: something has ended."""
        for lane in self._lanes:
            lane.want()

    async def once(self, until: float = math.inf) -> None:
        """One pass of each; two at once take turns. `until`, on the monotonic clock, begins nothing long any more."""
        await asyncio.gather(*(lane.once(until) for lane in self._lanes))

    async def within(self, budget: Budget) -> None:
        """One pass for hosts that sleep between requests. If it has not ended by then, it goes on in the background."""
        running = asyncio.create_task(self.once(until=budget.answer_by))
        self._passes.add(running)
        running.add_done_callback(self._passes.discard)
        await asyncio.wait({running}, timeout=max(0.0, budget.left))

    async def before_sleeping(self, within_s: float) -> None:
        """For hosts that sleep between requests: sends the notices of the last ends now, if there is time."""
        await self._before_sleeping(self._notices, within_s)

    async def after_answer(self, within_s: float) -> None:
        """For such hosts, too: where a series' prebooking has just ended, the next of its days becomes due."""
        await self._before_sleeping(self._series, within_s)

    async def _before_sleeping(self, lane: _Lane, within_s: float) -> None:
        if self._running:
            return
        with suppress(TimeoutError, StoreUnavailableError, StoreRefusedError):
            async with asyncio.timeout(within_s):
                await lane.if_wanted()

    async def run(self) -> None:
        """Until it is cancelled."""
        self._running = True
        await asyncio.gather(*(lane.run() for lane in self._lanes))

    async def _publish(self, _until: float) -> None:
        await self._notifier.publish()

    async def _look(self, until: float) -> None:
        if await self._watch.look(until, on_dead=self._notices.want):
            await self._notices.once(math.inf)
