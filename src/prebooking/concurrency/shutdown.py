"""The end of this process, announced: what has not begun is given back at once, what has begun is finished."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ShutdownError(Exception):
    """The process is about to end, and this had better be done by another."""


class Shutdown:
    """Told once, it interrupts what may be interrupted. It holds nothing that matters after a crash."""

    def __init__(self) -> None:
        self.told = False
        self._interruptible: set[asyncio.Timeout] = set()

    def tell(self) -> None:
        self.told = True
        now = asyncio.get_running_loop().time()
        for under_way in self._interruptible:
            under_way.reschedule(now)

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Raises ShutdownError out of whatever runs inside, as soon as the stop is told."""
        interruption = asyncio.timeout(0 if self.told else None)
        try:
            async with interruption:
                self._interruptible.add(interruption)
                yield
        except TimeoutError as exc:
            if interruption.expired():
                raise ShutdownError from exc
            raise
        finally:
            self._interruptible.discard(interruption)
