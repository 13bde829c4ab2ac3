"""The host's clocks."""

import asyncio
import time

# Time in which the machine is suspended passes for everybody else: leases end, classes open. Linux's CLOCK_MONOTONIC,
# and with it every timer of asyncio, stands still meanwhile; macOS's goes on (unlike Python's time.monotonic there).
_ALSO_SUSPENDED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Seconds from the machine's start, those included in which it was suspended."""
    return time.clock_gettime(_ALSO_SUSPENDED)


class SystemClock:
    """See prebooking.domain.ports.Clock."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
