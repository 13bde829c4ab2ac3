"""The host's clocks."""

import asyncio
import time


class SystemClock:
    """See prebooking.domain.ports.Clock."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
