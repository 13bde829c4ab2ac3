"""Named points at which a process can be killed or stopped, or a call lose its request or its answer.

They lie before and after each call of the service to the outside. That is all of them: what a process does between
two calls leaves no trace outside its memory, so dying there is dying after the one or before the other.
"""

import os
import signal
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from prebooking.composition import Outside
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import BoxSilentError, MessagingError, PrebookingError, StoreUnavailableError
from prebooking.domain.outcome import Reply, ReplyKind
from prebooking.domain.ports import Gyms, HeldRequest
from prebooking.domain.prebooking import BookingRequest, Box, Session

#: The calls of a running replica; tests/reliability/faults/test_points.py holds them against the ports.
CALLS = {
    "store": (
        *("create", "attach_message", "cancel", "reschedule", "retry", "note_delivery_failure", "list"),
        *("begin_giving_back", "end_giving_back"),
        *("create_series", "list_series", "change_series", "end_series", "fill_series"),
        *("claim", "begin", "finish", "release", "park", "sweep", "lease_session", "save_session"),
        *("admit_check", "connect_session", "read_session", "disconnect_session"),
        *("admit_sign_in", "store_sign_in", "lease_sign_in", "save_sign_in_again", "end_sign_in_again"),
    ),
    "messages": ("publish", "delete"),
    "gym": ("whoami", "listing", "refresh", "login", "enter", "boxes", "give_back"),
    "held": ("ready", "fire", "reply"),
}
POINTS = tuple(
    f"{port}.{call}:{when}" for port, calls in CALLS.items() for call in calls for when in ("before", "after")
)


def _lost(port: str) -> PrebookingError:
    """What the adapters raise then."""
    match port:
        case "store":
            return StoreUnavailableError("lost")
        case "messages":
            return MessagingError("lost", pause=True)
        case _:
            return BoxSilentError("lost")


class Action(StrEnum):
    KILL = "kill"  #: SIGKILL
    STOP = "stop"  #: SIGSTOP; whoever watches decides when it goes on
    LOSE = "lose"  #: the request (before) or its answer (after)
    DEPLOY = "deploy"  #: SIGTERM; the call goes on


_SIGNALS = {Action.KILL: signal.SIGKILL, Action.STOP: signal.SIGSTOP, Action.DEPLOY: signal.SIGTERM}


@dataclass(frozen=True, slots=True)
class Armed:
    """Triggered once, at the nth arrival at the point, counted from now or from when the one armed before was."""

    point: str
    action: Action
    nth: int = 1
    at: float = 0.0  #: when it was triggered, in epoch seconds


@dataclass(frozen=True, slots=True)
class Rotating:
    """The gym is asked now to rotate this token. Epoch seconds."""

    token: str
    at: float


class Failpoints:
    """Calls `report` before each fault is triggered, and before each rotation is requested."""

    def __init__(self, report: Callable[[Armed | Rotating], None]) -> None:
        self.report = report
        self._armed: dict[str, deque[tuple[Armed, int]]] = defaultdict(deque)

    def arm(self, armed: Armed) -> None:
        if armed.point not in POINTS:
            raise ValueError(f"no such failpoint: {armed.point}")
        self._armed[armed.point].append((armed, armed.nth))

    def disarm(self) -> None:
        self._armed.clear()

    def hits(self, point: str) -> bool:
        """Returns whether the call loses its request or answer here. A kill doesn't return, a stop returns late."""
        waiting = self._armed[point]
        if not waiting:
            return False
        armed, left = waiting.popleft()
        if left > 1:
            waiting.appendleft((armed, left - 1))
            return False
        self.report(replace(armed, at=time.time()))
        if armed.action is Action.LOSE:
            return True
        os.kill(os.getpid(), _SIGNALS[armed.action])
        return False

    def around(self, outside: Outside) -> Outside:
        """For prebooking.main: the same outside, with these points before it."""
        return Outside(
            _Watched(outside.store, "store", self),
            _Watched(outside.messages, "messages", self),
            _Gyms(outside.gyms, self),
            outside.notification_sender,
        )


class _Watched:
    """Hands each call on, between its two points."""

    def __init__(self, inner: Any, port: str, points: Failpoints) -> None:
        self._inner = inner
        self._port = port
        self._points = points

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in CALLS[self._port]:
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            if self._points.hits(f"{self._port}.{name}:before"):
                raise _lost(self._port)
            answer = await method(*arguments, **named)
            if self._points.hits(f"{self._port}.{name}:after"):
                raise _lost(self._port)
            return answer

        return call


class _Gyms:
    def __init__(self, inner: Gyms, points: Failpoints) -> None:
        self._inner = inner
        self._points = points

    @asynccontextmanager
    async def visit(self, box: Box, session: Session) -> AsyncIterator["_Gym"]:
        async with self._inner.visit(box, session) as gym:
            yield _Gym(gym, "gym", self._points)

    @asynccontextmanager
    async def account(self, cookies: Sequence[Cookie]) -> AsyncIterator["_Gym"]:
        async with self._inner.account(cookies) as account:
            yield _Gym(account, "gym", self._points)


class _Gym(_Watched):
    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)
        if name != "refresh":
            return call

        async def refresh(token: str, *more: Any, **named: Any) -> Any:
            self._points.report(Rotating(token, time.time()))
            return await call(token, *more, **named)

        return refresh

    def hold(self, request: BookingRequest) -> "_Held":
        return _Held(self._inner.hold(request), "held", self._points)


class _Held(_Watched):
    """The request that is fired: a plain call, and without a statement when its answer is lost."""

    _inner: HeldRequest
    _lost: ReplyKind | None = None

    def fire(self) -> None:
        if self._points.hits("held.fire:before"):
            self._lost = ReplyKind.NEVER_LEFT
            return
        self._inner.fire()
        if self._points.hits("held.fire:after"):
            self._lost = ReplyKind.NO_ANSWER

    async def reply(self, *, within_s: float) -> Reply:
        if self._points.hits("held.reply:before"):
            self._lost = ReplyKind.NO_ANSWER
        if self._lost is not None:
            return Reply(self._lost)
        reply = await self._inner.reply(within_s=within_s)
        return Reply(ReplyKind.NO_ANSWER) if self._points.hits("held.reply:after") else reply
