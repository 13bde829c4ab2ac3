"""Time as an argument, so that ten minutes of a test cost nothing."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    def time(self) -> float:
        """Returns Unix seconds."""

    async def pause(self, seconds: float, woken: asyncio.Event) -> None:
        """Waits at most that long, and at most until the event is set. It may end sooner, so the caller looks again."""


class SystemClock:
    def time(self) -> float:
        return time.time()

    async def pause(self, seconds: float, woken: asyncio.Event) -> None:
        # A timer oversleeps by a thousandth of its length, so the last stretch has to be a short one.
        step = seconds if seconds < 0.02 else min(seconds * 0.9, 60)
        with suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), step)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Returns the work's result. Raises TimeoutError once it has taken so long by that clock."""
    deadline = clock.time() + seconds
    done = asyncio.Event()
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda _: done.set())
    try:
        while not task.done():
            left = deadline - clock.time()
            if left <= 0:
                raise TimeoutError
            await clock.pause(left, done)
        return task.result()
    finally:
        task.cancel()
