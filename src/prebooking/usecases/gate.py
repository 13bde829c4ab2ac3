"""Where prepared requests wait for the opening and leave in order, first created first."""

import asyncio
import gc
import os
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from prebooking.domain.ports import Clock

Rank = tuple[datetime, UUID]  #: created_at, and the id between equals

# A long sleep oversleeps by 0.1 % of its length, so it is taken in shrinking steps.
_STEP = 0.9
_STEP_DOWN_TO_S = 0.02
# The last stretch is looked at each millisecond, which tells how long the event loop stays away; the very last is
# watched without leaving, for as long as the loop might stay away, within these bounds.
_LOOK_S = 0.001
_WATCH_S = (0.001, 0.02)
# So long before an opening nothing new is started: it could not be ready in time, and would hold up what is.
_QUIET_S = 0.1
# What has time waits that long before an opening, for the sake of what is made ready then.
_CALM_S = 2.0


@dataclass(eq=False, slots=True)
class _Waiting:
    rank: Rank
    fire: Callable[[], None]
    passed: asyncio.Future[None]


class Gate:
    """One for all openings of the process; it holds nothing that matters after a crash."""

    def __init__(self, clock: Clock, now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._waiting: dict[float, list[_Waiting]] = {}
        self._openers: dict[float, asyncio.Task[None]] = {}

    async def pass_through(self, opening: float, rank: Rank, fire: Callable[[], None]) -> None:
        """Calls `fire` at the opening (epoch seconds): at once when it is past, never before."""
        waiting = _Waiting(rank, fire, asyncio.get_running_loop().create_future())
        group = self._waiting.get(opening)
        if group is None:
            if self._now() >= opening:
                fire()
                return
            group = self._waiting[opening] = []
            opener = self._openers[opening] = asyncio.create_task(self._open(opening))
            opener.add_done_callback(lambda _: self._openers.pop(opening))
        insort(group, waiting, key=attrgetter("rank"))  # sorted now, because at the opening it would take milliseconds
        try:
            await waiting.passed
        finally:
            if waiting in group:
                group.remove(waiting)

    async def quiet(self) -> None:
        """Returns at once, but in the last moments before an opening that others wait for: then after it."""
        await self._opened(_QUIET_S)

    async def calm(self) -> None:
        """The same for what has time: from two seconds before."""
        await self._opened(_CALM_S)

    async def _opened(self, ahead_s: float) -> None:
        about_to_open = [opener for opening, opener in self._openers.items() if opening - self._now() <= ahead_s]
        if about_to_open:
            await asyncio.wait(about_to_open)

    async def _open(self, opening: float) -> None:
        await sleep_until(self._clock, self._now, opening - _QUIET_S)
        collecting = gc.isenabled()
        gc.disable()  # a collection takes longer than a hundred writes
        try:
            await _approach(self._clock, self._now, opening)
            for waiting in self._waiting.pop(opening):
                _let_go(waiting)
            os.sched_yield()  # whoever carries the bytes on may wait for this core; what follows here has time
        finally:
            if collecting:
                gc.enable()


def _let_go(waiting: _Waiting) -> None:
    if waiting.passed.done():  # cancelled at this very instant
        return
    try:
        waiting.fire()
    except Exception as exc:  # noqa: BLE001  # its waiter's trouble, not that of those behind it
        waiting.passed.set_exception(exc)
    else:
        waiting.passed.set_result(None)


async def sleep_until(clock: Clock, now: Callable[[], float], instant: float) -> None:
    """Returns within milliseconds after the instant (of the clock that `now` reads), never before."""
    while (left := instant - now()) > 0:
        await clock.sleep(left * _STEP if left > _STEP_DOWN_TO_S else left)


async def _approach(clock: Clock, now: Callable[[], float], instant: float) -> None:
    """Returns within microseconds after the instant, however busy the event loop is."""
    away, longest_watch = _WATCH_S
    while (left := instant - now()) > min(2 * away, longest_watch):
        before = clock.monotonic()
        await clock.sleep(min(_LOOK_S, left))
        # The longest absence of late, forgotten slowly.
        away = max(clock.monotonic() - before, away * _STEP, _WATCH_S[0])
    while now() < instant:
        pass
