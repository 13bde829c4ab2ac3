"""Prepared requests wait at the gate and leave in order: of the earliest opening first, then the first created."""

import asyncio
import gc
import os
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from math import inf
from operator import attrgetter
from uuid import UUID

from prebooking.domain.opening_clock import OpeningClock

Rank = tuple[datetime, UUID]  #: created_at, and the id between equals

# Near an opening the gate sleeps a millisecond at a time. That measures the event loop's lag: how late the loop comes
# back. In the last moments, for as long as that may be, the gate spins: it reads the clock again and again, without
# returning to the loop. For how long, at least and at most:
_PROBE_S = 0.001
_SPIN_S = (0.001, 0.02)
_LAG_DECAY = 0.9  # decay of the longest lag at each measurement
_WARM_S = 0.00001  # to read the data of one request
_UNTOUCHED_S = 5 * _WARM_S
# Of the time since the gate last spun, at most this share may be spun through. Where one opening follows upon another,
# nothing would be prepared for the next ones otherwise.
_SPIN_SHARE = 0.5
# This long before an opening nothing new is started: it could not be ready in time, and would delay what is.
_QUIET_S = 0.1
# Work that can wait pauses this long before an opening, for the sake of what is prepared then.
_CALM_S = 2.0
# For so long at most, while opening follows upon opening, no garbage is collected.
_UNCOLLECTED_S = 2.0


@dataclass(eq=False, slots=True)
class _Waiting:
    rank: Rank
    fire: Callable[[], object]
    warm: Callable[[], None]
    passed: asyncio.Future[None]


@dataclass(eq=False, slots=True)
class _Group:
    """The requests that wait for one opening, first created first."""

    opened: asyncio.Future[None]
    waiting: list[_Waiting] = field(default_factory=list)


class Gate:
    """One gate serves all openings of a process; it holds nothing that matters after a crash.

    A single task waits for the earliest opening: one that spun for a later opening would let an earlier one pass.
    """

    def __init__(self, clock: OpeningClock) -> None:
        self._clock = clock
        self._now = clock.now
        self._waiting: dict[float, _Group] = {}  #: by opening
        self._opener: asyncio.Task[None] | None = None
        self._spun_at = -inf  #: when it last stopped spinning, on the monotonic clock
        self._lag_s = _SPIN_S[0]  #: the longest lag of the event loop of late, forgotten slowly

    async def pass_through(
        self, opening: float, rank: Rank, fire: Callable[[], object], warm: Callable[[], None] = lambda: None
    ) -> None:
        """Calls `fire` at the opening (epoch seconds): at once when it is past, never before.

        `warm` is called again and again in the last milliseconds before: see prebooking.domain.ports.HeldRequest.
        """
        loop = asyncio.get_running_loop()
        waiting, group = _Waiting(rank, fire, warm, loop.create_future()), self._waiting.get(opening)
        is_earliest = opening < self._earliest
        if group is None:
            group = self._waiting[opening] = _Group(loop.create_future())
        insort(group.waiting, waiting, key=attrgetter("rank"))  # sorted now: at the opening it would take milliseconds
        self._fire_due()
        if is_earliest and group.waiting:
            self._restart()
        try:
            await waiting.passed
        finally:
            self._forget(opening, group, waiting)

    async def quiet(self) -> None:
        """Waits while an opening with waiting requests is close, until it has passed.

        It does not wait for openings that become close meanwhile: with one opening after another it would never return.
        """
        await self._wait_for_openings(_QUIET_S)

    async def calm(self) -> None:
        """The same for work that can wait: it also waits in the two seconds before an opening."""
        await self._wait_for_openings(_CALM_S)

    async def _wait_for_openings(self, ahead_s: float) -> None:
        until = self._now() + ahead_s
        about_to_open = [group.opened for opening, group in self._waiting.items() if opening <= until]
        if about_to_open:
            await asyncio.wait(about_to_open)

    @property
    def _earliest(self) -> float:
        return min(self._waiting, default=inf)

    def _restart(self) -> None:
        if self._opener is not None:
            self._opener.cancel()  # in one of its sleeps, where it has nothing in hand
        self._opener = asyncio.create_task(self._open())

    async def _open(self) -> None:
        """Returns when nothing waits any more."""
        while self._waiting:
            await self._clock.sleep_until(self._earliest - _QUIET_S)
            until = self._clock.monotonic() + _UNCOLLECTED_S
            with _no_collection():  # it takes longer than a hundred writes
                while self._is_near and self._clock.monotonic() < until:
                    await self._wait_until_due()
                    if self._fire_due():
                        os.sched_yield()  # the process that carries the bytes on may wait for this core
                    if self._is_near:
                        await self._measure_lag()  # the tasks that follow a write run before it spins again
            await self._measure_lag()

    @property
    def _is_near(self) -> bool:
        return self._earliest - self._now() <= _QUIET_S

    async def _wait_until_due(self) -> None:
        """Returns within microseconds after the earliest opening, however busy the event loop is, or when there is none
        any more.
        """
        while (left := self._earliest - self._now()) > self._spin_s:
            if not self._is_near:
                return
            await self._measure_lag(min(_PROBE_S, left))
        self._spin(self._earliest)
        self._spun_at = self._clock.monotonic()

    def _spin(self, opening: float) -> None:
        """Returns at the opening. Until then the requests' data is kept in the processor's caches: a write of cold data
        takes twice as long, and each delays those behind it.
        """
        group = self._waiting.get(opening)
        turns = cycle(group.waiting if group else ())
        while (left := opening - self._now()) > 0:
            if left > _UNTOUCHED_S and (waiting := next(turns, None)):
                with suppress(Exception):  # `fire` will meet the same, and say so
                    waiting.warm()

    @property
    def _spin_s(self) -> float:
        """Returns how long before the opening the gate begins to spin, which blocks the event loop."""
        shortest, longest = _SPIN_S
        its_share = (self._clock.monotonic() - self._spun_at) * _SPIN_SHARE
        group = self._waiting.get(self._earliest)
        warming = _WARM_S * len(group.waiting) if group else 0.0
        return min(max(2 * self._lag_s, warming), longest, max(shortest, its_share))

    async def _measure_lag(self, seconds: float = 0.0) -> None:
        before = self._clock.monotonic()
        await self._clock.sleep(seconds)
        self._lag_s = max(self._clock.monotonic() - before, self._lag_s * _LAG_DECAY, _SPIN_S[0])

    def _fire_due(self) -> bool:
        """Fires all that are due. Returns whether there was an opening."""
        opened = False
        while (opening := self._earliest) <= self._now():
            group = self._waiting.pop(opening)
            leaving, group.waiting = group.waiting, []
            errors = [_fire(waiting) for waiting in leaving]  # nothing else before the last has left
            for waiting, error in zip(leaving, errors, strict=True):
                _passed(waiting, error)
            group.opened.set_result(None)
            opened = True
        return opened

    def _forget(self, opening: float, group: _Group, waiting: _Waiting) -> None:
        """Drops a request that may have been cancelled, and its opening if no other waits for it."""
        if waiting in group.waiting:
            group.waiting.remove(waiting)
        if not group.waiting and self._waiting.get(opening) is group:
            del self._waiting[opening]
            group.opened.set_result(None)


def _fire(waiting: _Waiting) -> Exception | None:
    if not waiting.passed.done():  # otherwise it has just been cancelled
        try:
            waiting.fire()
        except Exception as exc:  # noqa: BLE001  # it must not affect the others
            return exc
    return None


def _passed(waiting: _Waiting, error: Exception | None) -> None:
    if waiting.passed.done():
        return
    if error is None:
        waiting.passed.set_result(None)
    else:
        waiting.passed.set_exception(error)


@contextmanager
def _no_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
