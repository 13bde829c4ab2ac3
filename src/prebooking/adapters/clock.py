"""The host's clocks."""

import asyncio
import time

# Leases end and classes open while the machine is suspended, so that time has to count. Linux's CLOCK_MONOTONIC,
# and with it every timer of asyncio, stands still meanwhile; macOS's goes on (unlike Python's time.monotonic there).
_ALSO_SUSPENDED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Returns the seconds since the machine started, those of a suspend included."""
    return time.clock_gettime(_ALSO_SUSPENDED)


class SystemClock:
    """See prebooking.domain.ports.Clock."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
