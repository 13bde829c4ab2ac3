"""Connections of strangers that send more than their share wait for their turn, so that the others don't wait for them.

Each has an allowance, which grows again with time; whoever has used it up is read from in turn with its like, at a rate
that leaves most of the process's time to the others. An authenticated request clears its connection's account.
"""

import asyncio
from collections import deque
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

ALLOWANCE = 512 * 1024  # bytes
REQUEST_COST = 64 * 1024  # what a request costs to answer, in bytes to read
_REGAINED = 256 * 1024  # bytes a second
_CROWD = 8  # with so many waiting for their turn, a connection is allowed one request before it waits, too
_TURN_S = 0.001  # for a turn that brings bytes alone
_REQUEST_S = 0.004  # for each request that a turn brings


class Throttled(Protocol):
    """A connection, as far as the throttle has to know it."""

    account: "Account"

    def take_turn(self) -> None:
        """Reads on."""
        ...


class Account:
    """What one connection has used of its allowance."""

    def __init__(self, now: float) -> None:
        self._used = 0.0
        self._at = now

    def charge(self, cost: int, now: float) -> float:
        """Returns how much of the allowance is used now."""
        # Never further than twice the allowance, so that a few seconds' calm is enough to come back.
        used = max(0.0, self._used - (now - self._at) * _REGAINED) + cost
        self._used, self._at = min(used, 2.0 * ALLOWANCE), now
        return self._used

    def clear(self) -> None:
        self._used = 0.0


class Flow(FlowControl):
    """Uvicorn's own, with a second reason not to read, which it knows nothing of."""

    barred = False

    def resume_reading(self) -> None:
        self.read_paused = False
        if not self.barred:
            self._transport.resume_reading()

    def bar(self) -> None:
        self.barred = True
        self._transport.pause_reading()

    def unbar(self) -> None:
        self.barred = False
        if not self.read_paused:
            self._transport.resume_reading()


class Throttle:
    def __init__(self) -> None:
        self._queue: deque[Throttled] = deque()
        self._on_turn: Throttled | None = None
        self._timer: asyncio.TimerHandle | None = None

    def admits(self, connection: Throttled, cost: int) -> bool:
        """Returns whether the connection may go on reading after what has cost so much."""
        used = connection.account.charge(cost, asyncio.get_running_loop().time())
        return used <= (ALLOWANCE if len(self._queue) < _CROWD else 2 * REQUEST_COST)

    def queue(self, connection: Throttled, requests: int) -> None:
        """Has the connection wait behind all that wait already. `requests`: how many it has brought just now."""
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
        self._on_turn.take_turn()
