"""The shutdown of this process: executions that have not begun are released at once, others are finished."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ShutdownError(Exception):
    """The process is shutting down: another one has to do this."""


class Shutdown:
    """Interrupts interruptible work once the shutdown begins. Its state does not matter after a crash."""

    def __init__(self) -> None:
        self.in_progress = False
        self._interruptible: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        if self.in_progress:  # by a second signal
            return
        self.in_progress = True
        now = asyncio.get_running_loop().time()
        for timeout in self._interruptible:
            timeout.reschedule(now)

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Raises ShutdownError inside of the block as soon as the shutdown begins."""
        timeout = asyncio.timeout(0 if self.in_progress else None)
        try:
            async with timeout:
                self._interruptible.add(timeout)
                yield
        except TimeoutError as exc:
            if timeout.expired():
                raise ShutdownError from exc
            raise
        finally:
            self._interruptible.discard(timeout)
