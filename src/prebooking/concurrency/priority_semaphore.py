"""A line for a few connections, in which what can't wait goes first."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum


class Priority(IntEnum):
    """Who goes before whom."""

    CLAIMED = 0  #: what is claimed: behind a hundred claims it would come too late
    CLAIM = 1  #: what an opening waits for, whoever looks at their page meanwhile
    OTHER = 2


class PrioritySemaphore:
    """Like a semaphore: each in their turn, and those of one rank in the order in which they came."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {turn: deque() for turn in Priority}

    @asynccontextmanager
    async def place(self, turn: Priority, *, within_s: float | None) -> AsyncIterator[None]:
        """Raises TimeoutError when none was free in time; None: waits as long as its caller does."""
        async with asyncio.timeout(within_s):
            await self._take(self._waiting[turn])
        try:
            yield
        finally:
            self._give()

    async def _take(self, waiting: deque[asyncio.Future[None]]) -> None:
        if self._free:
            self._free -= 1
            return
        called = asyncio.get_running_loop().create_future()
        waiting.append(called)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._give()  # it was given at this very instant: to the next one
            raise

    def _give(self) -> None:
        for waiting in self._waiting.values():
            while waiting:
                called = waiting.popleft()
                if not called.done():  # or it has left the line
                    called.set_result(None)
                    return
        self._free += 1
