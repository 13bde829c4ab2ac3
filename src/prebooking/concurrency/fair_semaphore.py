"""A semaphore with an adaptive limit, shared fairly: how many executions are prepared at once in one process.

Too many at once slow each other down until none ends within its budget, and all of them are repeated. How many are too
many depends on the other load of the machine, so the limit adapts as TCP's window does (AIMD).

Each permit is acquired under keys: its box, its user, its purpose. A key gets another permit only while it holds fewer
than its weight times the number of free ones (the dynamic thresholds of shared switch buffers, Choudhury and Hahne
1998). A key alone thus gets weight / (1 + weight) of all permits, and the next key that share of the rest: the last
permits are for keys that hold none yet.
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

_LEAST_LIMIT = 8
_GROW_EVERY = 4  # permits released in time raise the limit by one
_QUEUED_PER_PERMIT = 40


class Weight(Enum):
    """How many permits a key of this kind may hold, as a multiple of the number of free ones."""

    BOX = 1.0  # half of all while no other key waits: most executions at one opening share a box
    USER = 0.25  # 20 %: all active prebookings of one user
    SETTLING = 0.0625  # 6 %: settling can wait


class Key(NamedTuple):
    weight: Weight
    name: str = ""


class NoPermitError(Exception):
    """No permit became free in time, or too many wait already."""


class _Waiter:
    __slots__ = ("granted", "keys", "rank")

    def __init__(self, keys: tuple[Key, ...], rank: tuple[float, int]) -> None:
        self.keys = keys
        self.rank = rank
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __lt__(self, other: "_Waiter") -> bool:
        return self.rank < other.rank


class FairSemaphore:
    """A semaphore with at most `most` permits, of which `limit` are available at present."""

    def __init__(self, most: int) -> None:
        self._most = self.limit = most
        self._used = 0
        self._held: Counter[Key] = Counter()
        self._queue: list[_Waiter] = []  #: the oldest first
        self._queued: Counter[Key] = Counter()
        self._arrivals = count()
        self._in_time = 0
        self._cuts = 0

    async def acquire(self, *keys: Key, within_s: float, created_at: float = inf) -> "Permit":
        """Acquires a permit. Waiters with the same keys are served by `created_at`. Raises NoPermitError."""
        if self._has_room(keys):
            return self._grant(keys)
        if not self._has_room_to_wait(keys):
            raise NoPermitError
        waiter = _Waiter(keys, (created_at, next(self._arrivals)))
        insort(self._queue, waiter)
        self._queued.update(keys)
        try:
            async with asyncio.timeout(within_s):
                await waiter.granted
        except BaseException as exc:
            self._withdraw(waiter)
            if isinstance(exc, TimeoutError):
                raise NoPermitError from exc
            raise
        return self._permit(keys)

    def _has_room(self, keys: tuple[Key, ...]) -> bool:
        return _fits(keys, self._held, self.limit - self._used)

    def _has_room_to_wait(self, keys: tuple[Key, ...]) -> bool:
        """The queue is shared as the permits are."""
        return _fits(keys, self._queued, _QUEUED_PER_PERMIT * self._most - len(self._queue))

    def _grant(self, keys: tuple[Key, ...]) -> "Permit":
        self._take(keys)
        return self._permit(keys)

    def _permit(self, keys: tuple[Key, ...]) -> "Permit":
        return Permit(partial(self._release, keys), partial(self._report, since_cut=self._cuts))

    def _take(self, keys: tuple[Key, ...]) -> None:
        self._used += 1
        self._held.update(keys)

    def _release(self, keys: tuple[Key, ...]) -> None:
        self._used -= 1
        _subtract(self._held, keys)
        self._admit()

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.granted.done() and not waiter.granted.cancelled():
            self._release(waiter.keys)  # it was granted at the same time: it goes to the next waiter
        elif waiter in self._queue:
            self._queue.remove(waiter)
            _subtract(self._queued, waiter.keys)

    def _admit(self) -> None:
        """Serves all waiters that fit, the oldest first. A waiter that does not fit does not delay the others."""
        full = set[Key]()
        for waiter in [*self._queue]:
            free = self.limit - self._used
            if free <= 0:
                return
            if not full.isdisjoint(waiter.keys):
                continue
            full.update(key for key in waiter.keys if not _fits((key,), self._held, free))
            if full.isdisjoint(waiter.keys):
                self._queue.remove(waiter)
                _subtract(self._queued, waiter.keys)
                if not waiter.granted.done():  # else it is just being cancelled
                    self._take(waiter.keys)
                    waiter.granted.set_result(None)

    def _report(self, *, in_time: bool, since_cut: int) -> None:
        if in_time:
            self._in_time += 1
            if self._in_time % _GROW_EVERY == 0 and self.limit < self._most:
                self.limit += 1
                self._admit()
        elif since_cut == self._cuts:  # a permit granted before the last cut says nothing of the limit since
            self.limit = max(min(_LEAST_LIMIT, self._most), self.limit // 2)
            self._cuts += 1


def _fits(keys: tuple[Key, ...], held: Counter[Key], free: int) -> bool:
    return free > 0 and all(held[key] < max(1.0, key.weight.value * free) for key in keys)


def _subtract(counter: Counter[Key], keys: tuple[Key, ...]) -> None:
    for key in keys:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


class Permit:
    """The permit of one execution, which is released as soon as it only waits."""

    def __init__(self, release: Callable[[], None], report: Callable[..., None]) -> None:
        self._release: Callable[[], None] | None = release
        self._report: Callable[..., None] | None = report

    def release_without_feedback(self) -> None:
        """Releases it without a report, which would change the limit.

        Its holder goes on without it, since it waits for another system and not for this machine.
        """
        if self._release is not None:
            release, self._release = self._release, None
            release()

    def release(self, *, in_time: bool = True) -> None:
        """Releases it. `in_time`: its holder was ready before its budget ended. The first report adapts the limit."""
        if self._report is not None:
            report, self._report = self._report, None
            report(in_time=in_time)
        self.release_without_feedback()
