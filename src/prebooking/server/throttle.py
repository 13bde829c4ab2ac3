"""Unauthenticated connections that send more than their quota are read in turn, so that the others don't wait for them.

Each connection has a quota of bytes, which refills with time. A connection that has used it up joins a queue, which is
served at a rate that leaves most of the process's time to the others. An authenticated request clears what its
connection has used.
"""

import asyncio
from collections import deque
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

ALLOWANCE = 512 * 1024  # bytes
REQUEST_COST = 64 * 1024  # the cost of answering a request, in bytes to read
_REGAINED = 256 * 1024  # bytes a second
_LONG_QUEUE = 8  # from so many on, a connection may send one more request before it has to queue, too
_TURN_S = 0.001  # for a turn that brings bytes alone
_REQUEST_S = 0.004  # for each request that a turn brings


class Throttled(Protocol):
    """A connection, by the attributes that the throttle uses."""

    quota: "ByteQuota"

    def read_on(self) -> None:
        """Called when its turn in the queue has come."""
        ...


class ByteQuota:
    """How many bytes one connection has used of its allowance."""

    def __init__(self, now: float) -> None:
        self._used = 0.0
        self._at = now

    def charge(self, cost: int, now: float) -> float:
        """Returns how much of the allowance is used now."""
        # At most twice the allowance, so that a few quiet seconds are enough to recover.
        used = max(0.0, self._used - (now - self._at) * _REGAINED) + cost
        self._used, self._at = min(used, 2.0 * ALLOWANCE), now
        return self._used

    def clear(self) -> None:
        self._used = 0.0


class Flow(FlowControl):
    """Uvicorn's flow control, with a block that does not interfere with uvicorn's own pauses."""

    reading_blocked = False

    def resume_reading(self) -> None:
        self.read_paused = False
        if not self.reading_blocked:
            self._transport.resume_reading()

    def block_reading(self) -> None:
        self.reading_blocked = True
        self._transport.pause_reading()

    def unblock_reading(self) -> None:
        self.reading_blocked = False
        if not self.read_paused:
            self._transport.resume_reading()


class Throttle:
    def __init__(self) -> None:
        self._queue: deque[Throttled] = deque()
        self._on_turn: Throttled | None = None
        self._timer: asyncio.TimerHandle | None = None

    def admits(self, connection: Throttled, cost: int) -> bool:
        """Returns whether the connection may be read on, after input of this cost."""
        used = connection.quota.charge(cost, asyncio.get_running_loop().time())
        return used <= (ALLOWANCE if len(self._queue) < _LONG_QUEUE else 2 * REQUEST_COST)

    def queue(self, connection: Throttled, requests: int) -> None:
        """Queues the connection behind all others. `requests`: how many of its requests have just arrived."""
        self._queue.append(connection)
        if self._timer is None:
            self._call_next(requests)
        elif connection is self._on_turn:  # the others' turns come so much later
            self._timer.cancel()
            self._call_next(requests)

    def _call_next(self, requests: int) -> None:
        pause = _TURN_S + _REQUEST_S * requests
        self._timer = asyncio.get_running_loop().call_later(pause, self._next)

    def _next(self) -> None:
        self._timer = None
        self._on_turn = self._queue.popleft()
        if self._queue:
            self._call_next(0)
        self._on_turn.read_on()
