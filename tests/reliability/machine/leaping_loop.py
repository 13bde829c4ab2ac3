"""Time that leaps: an event loop that goes straight to its next timer when nobody in it has anything to do.

The service, its stand-ins and the test's own client share this one loop, over real sockets. So when none of them is
readable and no callback is ready, everybody waits for a timer. Deadlines, leases and patience then pass as in life and
in their order, and hours of them cost milliseconds. Postgres alone is outside: while it is asked, time all but stands.
"""

import asyncio
import os
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil

_SECOND = 1_000_000_000  # time is whole nanoseconds: a float of the years that many runs take is too coarse
_SLOWER = 20  # while Postgres is asked, a timer's second takes so many
_LOOKS = 2  # at the sockets before a leap: the kernel may be carrying a byte from one of ours to another
_LOOK_NS = 20_000  # what a look at the clock costs, so that watching it ends


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.asked_outside = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.asked_outside:
            ready = super().select(None if timeout is None else timeout * _SLOWER)
        for _ in range(_LOOKS):
            if ready:
                return ready
            os.sched_yield()
            ready = super().select(0)
        if not ready and timeout is not None:
            self.now_ns += ceil(timeout * _SECOND)
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Selector()
        super().__init__(self._leaping)
        self._clock_resolution = 1e-5  # asyncio's own: how far ahead of its instant a timer may end

    @property
    def now_ns(self) -> int:
        return self._leaping.now_ns

    def time(self) -> float:
        return self._leaping.now_ns / _SECOND

    @property
    def asked_outside(self) -> bool:
        return self._leaping.asked_outside > 0

    def jump(self, nanoseconds: int) -> None:
        """So much passes at once: timers that end meanwhile are late, as for a process that was stopped."""
        self._leaping.now_ns += nanoseconds

    @contextmanager
    def asking_outside(self) -> Iterator[None]:
        """Somebody out of this loop is at work, and no leap must overtake the answer."""
        self._leaping.asked_outside += 1
        try:
            yield
        finally:
            self._leaping.asked_outside -= 1


class Clock:
    """Everybody's clock in that loop: the service's, QStash's, the gym's and the database's."""

    def __init__(self, loop: LeapingLoop) -> None:
        self._loop = loop
        self._started_ns = 0
        self._start = datetime.fromtimestamp(0, UTC)

    def start(self, instant: datetime) -> None:
        """It is that instant now."""
        self._start, self._started_ns = instant, self._loop.now_ns

    def now(self) -> datetime:
        return self._start + timedelta(microseconds=(self._loop.now_ns - self._started_ns) // 1000)

    def nanoseconds(self) -> int:
        return round(self._start.timestamp()) * _SECOND + self._loop.now_ns - self._started_ns

    def skip(self, seconds: float) -> None:
        self._loop.jump(round(seconds * _SECOND))

    # ---- prebooking.domain.ports.Clock, and QStash's

    def wall(self) -> float:
        self._loop.jump(_LOOK_NS)
        return self.time()

    def monotonic(self) -> float:
        return (self._loop.now_ns - self._started_ns) / _SECOND

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def time(self) -> float:
        return self.nanoseconds() / _SECOND

    async def pause(self, seconds: float, woken: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
        except TimeoutError:
            pass
