"""A semaphore whose waiters are served by priority."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum


class Priority(IntEnum):
    """Priorities, in the order in which they are served."""

    PREPARE = 0  #: before a claimed request is sent: behind the results of a crowd, it would leave a second late
    RESULT = 1  #: of an execution that holds a claim: there are no more of them than claims were granted
    CLAIM = 2  #: calls for an opening, which come before those of users' pages
    OTHER = 3


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
