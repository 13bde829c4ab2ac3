"""How many executions are made ready at once, in one process, and who may be among them: nobody ever takes all.

Too many at once take the time from each other until no budget suffices for any, and then they all come again. How many
are too many depends on what the machine does besides, so it is found out, as TCP finds out how fast a line is.

Each permit is taken under keys: its box, its user, its purpose. A key gets another permit only while it holds less than
its part times what is free (the dynamic thresholds by which switches share their buffers, Choudhury and Hahne 1998).
A key alone thus gets part / (1 + part) of all, and the next that much of what it leaves: the last ones are for those
who hold nothing yet.
"""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import partial
from itertools import count
from math import inf
from typing import NamedTuple

_LEAST = 8
_BACK_EVERY = 4  # as many in time bring one permit back
_WAITING = 40  # so many times as many as there are permits may wait in line


class Part(Enum):
    """What a key of this kind may hold, in times of what is free."""

    BOX = 1.0  # half, where nobody else wants anything: a class of one box is the usual crowd
    USER = 0.25  # 20 %: all the active prebookings that one may have
    SETTLING = 0.0625  # 6 %: what it finds out can wait


class Key(NamedTuple):
    part: Part
    name: str = ""


class NoPermitError(Exception):
    """None became free in time, or too many wait already."""


class _Waiting:
    __slots__ = ("granted", "keys", "rank")

    def __init__(self, keys: tuple[Key, ...], rank: tuple[float, int]) -> None:
        self.keys = keys
        self.rank = rank
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __lt__(self, other: "_Waiting") -> bool:
        return self.rank < other.rank


class FairSemaphore:
    def __init__(self, most: int) -> None:
        self._most = self.number = most
        self._used = 0
        self._held: Counter[Key] = Counter()
        self._line: list[_Waiting] = []  #: the oldest first
        self._in_line: Counter[Key] = Counter()
        self._arrivals = count()
        self._in_time = 0
        self._cuts = 0

    async def acquire(self, *keys: Key, within_s: float, created_at: float = inf) -> "Permit":
        """Of those that wait under the same keys the first created comes first. Raises NoPermitError."""
        if self._has_room(keys):
            return self._grant(keys)
        if not self._may_wait(keys):
            raise NoPermitError
        waiting = _Waiting(keys, (created_at, next(self._arrivals)))
        insort(self._line, waiting)
        self._in_line.update(keys)
        try:
            async with asyncio.timeout(within_s):
                await waiting.granted
        except BaseException as exc:
            self._withdraw(waiting)
            if isinstance(exc, TimeoutError):
                raise NoPermitError from exc
            raise
        return self._permit(keys)

    def _has_room(self, keys: tuple[Key, ...]) -> bool:
        return _fits(keys, self._held, self.number - self._used)

    def _may_wait(self, keys: tuple[Key, ...]) -> bool:
        """The line is shared as the permits are."""
        return _fits(keys, self._in_line, _WAITING * self._most - len(self._line))

    def _grant(self, keys: tuple[Key, ...]) -> "Permit":
        self._take(keys)
        return self._permit(keys)

    def _permit(self, keys: tuple[Key, ...]) -> "Permit":
        return Permit(partial(self._give_back, keys), partial(self._report, since_cut=self._cuts))

    def _take(self, keys: tuple[Key, ...]) -> None:
        self._used += 1
        self._held.update(keys)

    def _give_back(self, keys: tuple[Key, ...]) -> None:
        self._used -= 1
        _subtract(self._held, keys)
        self._admit()

    def _withdraw(self, waiting: _Waiting) -> None:
        if waiting.granted.done() and not waiting.granted.cancelled():
            self._give_back(waiting.keys)  # it was granted at this very instant: to the next one
        elif waiting in self._line:
            self._line.remove(waiting)
            _subtract(self._in_line, waiting.keys)

    def _admit(self) -> None:
        """All who now fit, the oldest first: whoever does not fit keeps nobody else waiting."""
        full = set[Key]()
        for waiting in [*self._line]:
            free = self.number - self._used
            if free <= 0:
                return
            if not full.isdisjoint(waiting.keys):
                continue
            full.update(key for key in waiting.keys if not _fits((key,), self._held, free))
            if full.isdisjoint(waiting.keys):
                self._line.remove(waiting)
                _subtract(self._in_line, waiting.keys)
                if not waiting.granted.done():  # else it is leaving the line at this very instant
                    self._take(waiting.keys)
                    waiting.granted.set_result(None)

    def _report(self, *, in_time: bool, since_cut: int) -> None:
        if in_time:
            self._in_time += 1
            if self._in_time % _BACK_EVERY == 0 and self.number < self._most:
                self.number += 1
                self._admit()
        elif since_cut == self._cuts:  # those who began before the last cut say nothing of the number since
            self.number = max(min(_LEAST, self._most), self.number // 2)
            self._cuts += 1


def _fits(keys: tuple[Key, ...], held: Counter[Key], free: int) -> bool:
    return free > 0 and all(held[key] < max(1.0, key.part.value * free) for key in keys)


def _subtract(counter: Counter[Key], keys: tuple[Key, ...]) -> None:
    for key in keys:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


class Permit:
    """One execution's. It is given back as soon as nothing is left to do but to wait."""

    def __init__(self, give_back: Callable[[], None], report: Callable[..., None]) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._report: Callable[..., None] | None = report

    def lend(self) -> None:
        """Gives it back early, to go on without: it waits for others, not for this machine."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            give_back()

    def release(self, *, in_time: bool = True) -> None:
        """`in_time`: it came to something before its budget ended."""
        if self._report is not None:
            report, self._report = self._report, None
            report(in_time=in_time)
        self.lend()
