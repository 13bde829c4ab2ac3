"""What a replica does beside booking: it tells users, looks after their sessions, clears away what is old.

It keeps out of the way of openings, and whatever it leaves undone the next pass or another replica does.
"""

import asyncio
import math
import random
from contextlib import suppress

import structlog

from prebooking.domain.errors import StoreRefusedError, StoreUnavailableError
from prebooking.domain.timing import Budget
from prebooking.usecases.housekeeping import Housekeeping
from prebooking.usecases.notify import Notifier
from prebooking.usecases.session_watch import SessionWatch

_log = structlog.get_logger()

_EVERY_S = 20.0  # well within a session's last look, 5 minutes before the opening
_SETTLE_S = 0.3  # after an end others follow: one pass tells them all


class Chores:
    def __init__(self, notifier: Notifier, watch: SessionWatch, housekeeping: Housekeeping) -> None:
        self._notifier = notifier
        self._watch = watch
        self._housekeeping = housekeeping
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._running = False
        self._passes: set[asyncio.Task[None]] = set()

    def ring(self) -> None:
        """There is something to tell."""
        self._wanted.set()

    async def once(self, until: float = math.inf) -> None:
        """One pass; two at once take turns. `until`, on the monotonic clock, begins nothing long any more."""
        async with self._turn:
            self._wanted.clear()
            try:
                await self._notifier.publish()
                if await self._watch.look(until):
                    await self._notifier.publish()
                await self._housekeeping.tidy()
            except (StoreUnavailableError, StoreRefusedError) as exc:
                _log.warning("chores_interrupted", reason=str(exc))

    async def within(self, budget: Budget) -> None:
        """One pass for hosts that sleep between requests. What is left of it at the end goes on beside what comes."""
        running = asyncio.create_task(self.once(until=budget.answer_by))
        self._passes.add(running)
        running.add_done_callback(self._passes.discard)
        await asyncio.wait({running}, timeout=max(0.0, budget.left))

    async def before_sleeping(self, within_s: float) -> None:
        """For hosts that sleep between requests: what has just ended is told now, if there is time."""
        if self._running:
            return
        with suppress(TimeoutError, StoreUnavailableError, StoreRefusedError):
            async with asyncio.timeout(within_s), self._turn:
                if self._wanted.is_set():  # else another delivery has told it
                    self._wanted.clear()
                    await self._notifier.publish()

    async def run(self) -> None:
        """Until it is cancelled."""
        self._running = True
        while True:
            try:
                await self.once()
            except Exception:  # noqa: BLE001  # an error of ours, in one pass
                _log.exception("chores_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S * random.uniform(0.8, 1)):  # noqa: S311  # spreads replicas
                    await self._wanted.wait()
                    await asyncio.sleep(_SETTLE_S)
