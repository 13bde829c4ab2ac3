"""Where prepared requests wait for the opening and leave in order, first created first."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from prebooking.domain.ports import Clock

Rank = tuple[datetime, UUID]  #: created_at, and the id between equals

# A long sleep oversleeps by 0.1 % of its length, so it is taken in shrinking steps; the last stretch is watched, and
# the event loop is let through at each look.
_STEP = 0.9
_STEP_DOWN_TO_S = 0.02
_WATCHED_S = 0.002


@dataclass(order=True, slots=True)
class _Waiting:
    rank: Rank
    fire: Callable[[], None] = field(compare=False)
    passed: asyncio.Future[None] = field(compare=False)


class Gate:
    """One for all openings of the process; it holds nothing that matters after a crash."""

    def __init__(self, clock: Clock, now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._waiting: dict[float, list[_Waiting]] = {}
        self._openers: set[asyncio.Task[None]] = set()

    async def pass_through(self, opening: float, rank: Rank, fire: Callable[[], None]) -> None:
        """Calls `fire` at the opening (epoch seconds): at once when it is past, never before."""
        waiting = _Waiting(rank, fire, asyncio.get_running_loop().create_future())
        group = self._waiting.get(opening)
        if group is None:
            if self._now() >= opening:
                fire()
                return
            group = self._waiting[opening] = []
            opener = asyncio.create_task(self._open(opening))
            self._openers.add(opener)
            opener.add_done_callback(self._openers.discard)
        group.append(waiting)
        try:
            await waiting.passed
        finally:
            if waiting in group:
                group.remove(waiting)

    async def _open(self, opening: float) -> None:
        await sleep_until(self._clock, self._now, opening)
        for waiting in sorted(self._waiting.pop(opening)):
            if waiting.passed.done():  # cancelled at this very instant
                continue
            try:
                waiting.fire()
            except Exception as exc:  # noqa: BLE001  # its waiter's trouble, not that of those behind it
                waiting.passed.set_exception(exc)
            else:
                waiting.passed.set_result(None)


async def sleep_until(clock: Clock, now: Callable[[], float], instant: float) -> None:
    """Returns at the instant (of the clock that `now` reads) or a few microseconds later, never before."""
    while (left := instant - now()) > 0:
        if left > _STEP_DOWN_TO_S:
            await clock.sleep(left * _STEP)
        else:
            await clock.sleep(max(0.0, left - _WATCHED_S))
