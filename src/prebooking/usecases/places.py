"""How many executions are made ready at once, in one process.

A thousand at once take the time from each other until no budget suffices for any, and then they all come again. So the
others wait in line, unclaimed: for them no attempt has begun, and nobody is kept from taking them.
"""

import asyncio


class NoPlaceError(Exception):
    """None became free in time."""


class Places:
    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)

    async def take(self, *, within_s: float) -> "Place":
        """Raises NoPlaceError."""
        try:
            async with asyncio.timeout(within_s):
                await self._free.acquire()
        except TimeoutError as exc:
            raise NoPlaceError from exc
        return Place(self._free)


class Place:
    """One execution's; given back as soon as nothing is left to do but to wait."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free: asyncio.Semaphore | None = free

    def leave(self) -> None:
        if self._free is not None:
            self._free.release()
            self._free = None
