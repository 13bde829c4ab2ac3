"""The fault of a case, when it is triggered, and the scenario that leads to it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.reliability.faults.environment import Environment
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.replica import Replica


class Occurrence(StrEnum):
    """At which arrival at its point the fault is triggered."""

    FIRST = "first"  #: the first time that the point is reached
    AGAIN = "again"  #: the next time, after a try that failed there, or an execution that was released before
    SETTLING = "settling"  #: when it is executed again after a begin of unknown outcome


class NotReachedError(AssertionError):
    """The point was not reached in time, or could not be."""


@dataclass(slots=True)
class FaultInjection:
    """The fault, and whom it is for."""

    replica: Replica
    point: str
    action: Action
    again: bool
    _times: int = 1
    _armed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def call(self) -> str:
        return self.point.partition(":")[0]

    async def arm(self) -> None:
        """From now on it is triggered where the point is reached."""
        await self.replica.arm(self.point, self.action)
        self._armed.set()

    async def arm_twice(self, first_at: str = "") -> None:
        """Where it is for the second time, the first one loses its request or answer, there or at another point."""
        if self.again:
            await self.replica.arm(first_at or self.point, Action.LOSE)
            self._times += (first_at or self.point, Action.LOSE) == (self.point, self.action)
        await self.arm()

    async def triggered(self) -> None:
        await self._armed.wait()
        await self.replica.triggered(self.point, self.action, self._times)


Act = Callable[[Environment, FaultInjection], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`act` returns when the client is done. `opens_in_s`: the opening, seen from its start."""

    act: Act
    opens_in_s: float = 2.0
    cancels: bool = False
    gives_back: bool = False  #: the place, once it is booked
    past_opening: bool = True  #: who cancels is watched until the opening is over
    may_fail: str | None = None  #: the true reason for not being booked in the end
    signed_in: bool = True
    newest_session_stays: bool = False  #: a client who asks another replica has the newest, whatever goes on elsewhere
    by_hour: bool = False  #: it is wished by its hour and name, and listed only at its opening
    box: str | None = None  #: where the conditions' is not meant
    sweeps: bool = False  #: the replica that the fault meets sweeps too
