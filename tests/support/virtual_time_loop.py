"""Virtual time: an event loop that jumps to its next timer as soon as nothing in it is ready to run.

The service, its stand-ins and the test's own client share this one loop, over real sockets. So when none of them is
readable and no callback is ready, everything waits for a timer. Deadlines, leases and timeouts then pass in their real
order, and hours of them cost milliseconds. Postgres alone is outside: during its calls time is all but stopped.
"""

import asyncio
import os
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil

_SECOND = 1_000_000_000  # time is whole nanoseconds: a float of the years that many runs take is too coarse
_SLOWER = 20  # during a call of Postgres a timer's second takes so many
_OWN_FILES = 1  # that every event loop watches: its own wake-up socket
_LOOKS = 2  # at the sockets before a jump: the kernel may be carrying a byte from one of ours to another
_CARRYING_S = 0.001  # which a busy machine may take for it; so long is looked, really, before a jump of more than that
_LOOK_NS = 20_000  # what a look at the clock costs, so that watching it ends


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.outside_calls = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.outside_calls:
            ready = super().select(None if timeout is None else timeout * _SLOWER)
        if timeout is None or len(self.get_map()) > _OWN_FILES:
            ready = ready or self._look_again(timeout)
        if not ready and timeout is not None:
            self.now_ns += ceil(timeout * _SECOND)
        return ready

    def _look_again(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        for _ in range(_LOOKS):
            os.sched_yield()
            if ready := super().select(0):
                return ready
        return super().select(_CARRYING_S) if timeout is None or timeout > _CARRYING_S else []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-5  # asyncio's own: how far ahead of its instant a timer may end

    @property
    def now_ns(self) -> int:
        return self._virtual.now_ns

    def time(self) -> float:
        return self._virtual.now_ns / _SECOND

    @property
    def has_outside_calls(self) -> bool:
        return self._virtual.outside_calls > 0

    def jump(self, nanoseconds: int) -> None:
        """So much passes at once: timers that end meanwhile are late, as for a process that was stopped."""
        self._virtual.now_ns += nanoseconds

    @contextmanager
    def outside_call(self) -> Iterator[None]:
        """Holds time back while something outside this loop works, so that no jump overtakes its answer."""
        self._virtual.outside_calls += 1
        try:
            yield
        finally:
            self._virtual.outside_calls -= 1


class Clock:
    """Everybody's clock in that loop: the service's, QStash's, the gym's and the database's."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
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
