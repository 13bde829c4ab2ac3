"""At most so many deliveries at once."""

import asyncio


class Slots:
    """A semaphore for one taker, who therefore takes in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._freed = asyncio.Event()

    def resize(self, limit: int) -> None:
        self._limit = limit
        self._freed.set()

    async def take(self) -> None:
        while self._taken >= self._limit:
            self._freed.clear()
            await self._freed.wait()
        self._taken += 1

    def give(self) -> None:
        self._taken -= 1
        self._freed.set()
