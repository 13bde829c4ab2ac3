"""How many executions are made ready at once, in one process: as many as have lately been ready in time.

Too many at once take the time from each other until no budget suffices for any, and then they all come again. So the
others wait in line, unclaimed: for them no attempt has begun, and nobody is kept from taking them. How many are too
many depends on what the machine does besides, so it is found out, as TCP finds out how fast a line is.
"""

import asyncio
from collections.abc import Callable
from functools import partial

_LEAST = 8
_BACK_EVERY = 4  # as many in time bring one place back


class NoPlaceError(Exception):
    """None became free in time."""


class Places:
    def __init__(self, most: int) -> None:
        self._most = self.number = most
        self._free = asyncio.Semaphore(most)
        self._taken_away = 0  #: of those in use: they go when they are left
        self._in_time = 0
        self._cuts = 0

    async def take(self, *, within_s: float) -> "Place":
        """Raises NoPlaceError."""
        try:
            async with asyncio.timeout(within_s):
                await self._free.acquire()
        except TimeoutError as exc:
            raise NoPlaceError from exc
        return Place(partial(self._left, since_cut=self._cuts))

    def _left(self, *, since_cut: int, in_time: bool) -> None:
        if in_time:
            self._in_time += 1
            if self._in_time % _BACK_EVERY == 0 and self.number < self._most:
                self.number += 1
                self._give()
        elif since_cut == self._cuts:  # those who began before the last cut say nothing of the number since
            fewer = max(min(_LEAST, self._most), self.number // 2)
            self._taken_away += self.number - fewer
            self.number = fewer
            self._cuts += 1
        self._give()

    def _give(self) -> None:
        if self._taken_away:
            self._taken_away -= 1
        else:
            self._free.release()


class Place:
    """One execution's; given back as soon as nothing is left to do but to wait."""

    def __init__(self, left: Callable[..., None]) -> None:
        self._left: Callable[..., None] | None = left

    def leave(self, *, in_time: bool = True) -> None:
        """`in_time`: it came to something before its budget ended."""
        if self._left is not None:
            left, self._left = self._left, None
            left(in_time=in_time)
