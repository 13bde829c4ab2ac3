"""A host whose clocks the test moves: sleeping takes no time, and the wall clock may step."""

import asyncio
from collections.abc import Callable


class FakeClock:
    """See prebooking.domain.ports.Clock. Every sleep passes at once, and each look takes a microsecond.

    `on_sleep` and `on_look` may meddle meanwhile.
    """

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.true_time = now
        self.wall_offset = 0.0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.on_look: Callable[[], None] = lambda: None

    def wall(self) -> float:
        self.true_time += 1e-6
        self.on_look()
        return self.true_time + self.wall_offset

    def monotonic(self) -> float:
        return self.true_time - 999_000.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        # A loop's timers are late, never early; and each look at the clock costs something.
        self.true_time += seconds * 1.001 + 0.00001
        self.on_sleep()
