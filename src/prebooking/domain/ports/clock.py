"""The host's clocks."""

from typing import Protocol


class Clock(Protocol):
    """The wall clock, the monotonic clock, and sleeping."""

    def wall(self) -> float:
        """Returns epoch seconds, for timestamps."""
        ...

    def monotonic(self) -> float:
        """Returns seconds since an unknown start, those of a suspend included, for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleeps for at least so many seconds. Those of a suspend may not count."""
        ...
