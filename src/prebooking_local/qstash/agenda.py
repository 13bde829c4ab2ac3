"""A timed queue: items with the time at which each is due."""

import asyncio
import heapq
import itertools
import math
from typing import Generic, TypeVar

from prebooking_local.qstash.clock import Clock

T = TypeVar("T")


class Agenda(Generic[T]):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._held = False

    def add(self, due: float, item: T, *, ahead: bool = False) -> None:
        """Adds an item. Those of one instant are in order of arrival; one that goes ahead comes before all of them."""
        number = next(self._numbers)
        heapq.heappush(self._heap, (due, -number if ahead else number, item))
        self._changed.set()

    def hold(self, held: bool) -> None:  # noqa: FBT001  a switch is set to what it should be
        """Holds the queue, or goes on. While it is held nothing is due."""
        self._held = held
        self._changed.set()

    async def next_due(self) -> T:
        while True:
            self._changed.clear()
            wait = self._wait()
            if wait <= 0:
                return heapq.heappop(self._heap)[2]
            await self._clock.pause(wait, self._changed)

    def _wait(self) -> float:
        return math.inf if self._held or not self._heap else self._heap[0][0] - self._clock.time()
