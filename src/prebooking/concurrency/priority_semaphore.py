"""A semaphore whose waiters are served by priority."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum


class Priority(IntEnum):
    """Priorities, in the order in which they are served."""

    CLAIMED = 0  #: calls for claimed rows: behind a hundred claims they would be too late
    CLAIM = 1  #: calls for an opening, which come before those of users' pages
    OTHER = 2


class PrioritySemaphore:
    """A semaphore that serves waiters by priority, and by arrival within a priority."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiters: dict[Priority, deque[asyncio.Future[None]]] = {priority: deque() for priority in Priority}

    @asynccontextmanager
    async def acquire(self, priority: Priority, *, within_s: float | None) -> AsyncIterator[None]:
        """Holds a slot. Raises TimeoutError if none became free within `within_s` (None: no limit)."""
        async with asyncio.timeout(within_s):
            await self._take(self._waiters[priority])
        try:
            yield
        finally:
            self._release()

    async def _take(self, waiters: deque[asyncio.Future[None]]) -> None:
        if self._free:
            self._free -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        waiters.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._release()  # the slot was granted at the same time: it goes to the next waiter
            raise

    def _release(self) -> None:
        for waiters in self._waiters.values():
            while waiters:
                granted = waiters.popleft()
                if not granted.done():  # a cancelled waiter has left
                    granted.set_result(None)
                    return
        self._free += 1
