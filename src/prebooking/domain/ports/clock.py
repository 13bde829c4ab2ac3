"""The host's clocks."""

from typing import Protocol


class Clock(Protocol):
    """The wall clock, the monotonic clock, and sleeping."""

    def wall(self) -> float:
        """Epoch seconds: for facts."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start, those of a suspend included: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns at the earliest after so many seconds; those of a suspend may not count."""
        ...
