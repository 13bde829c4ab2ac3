"""A circuit breaker for each host, in one process: a host that did not answer a moment ago is asked sparsely.

Without it, each request to a silent host waits for its own time-out, again and again, and all of them meet the host at
once when it comes back.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prebooking.domain.errors import BoxSilentError, HostSilentError, NotSentError
from prebooking.domain.ports import Clock

_T = TypeVar("_T")

_FAILURES = 3  # in a row, of any users: a single one may be due to one user or one connection
_FORGOTTEN_S = 30.0  # an older failure says nothing any more
_PAUSES_S = (1.0, 30.0)  # before the first probe and at the longest, doubling
_SLOW_S = 1.0  # a request cancelled after so long counts as a failure
_KEPT = 1000  # hosts, of a few hundred bytes each


class CircuitBreaker:
    """Closed while its host answers. Open, it lets one request through after each pause: the probe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._failed_at = 0.0
        self._pause = 0.0  #: 0: closed
        self._probe_at = 0.0
        self._probing = False

    @property
    def silent(self) -> bool:
        """Returns whether it is open: the host has not answered of late."""
        return self._pause > 0

    @property
    def refuses(self) -> bool:
        """Returns whether a request would be refused now."""
        return self.silent and (self._probing or self._clock.monotonic() < self._probe_at)

    async def ask(self, question: Callable[[], Awaitable[_T]], *, insist: bool = False) -> _T:
        """Returns what `question` returns. Raises NotSentError while it is open, except to one probe at a time.

        `insist` asks in any case. Raises what `question` raises.
        """
        if self.refuses and not insist:
            raise NotSentError("the host did not answer a moment ago")
        probes = self.silent and not self._probing and not insist
        self._probing = self._probing or probes
        asked = self._clock.monotonic()
        try:
            answer = await question()
        except (HostSilentError, NotSentError):
            self._failed(widen=probes)
            raise
        except asyncio.CancelledError:
            if self._clock.monotonic() - asked >= _SLOW_S:
                self._failed(widen=probes)
            raise
        except BoxSilentError:
            self._answered()  # a useless answer is an answer
            raise
        finally:
            if probes:
                self._probing = False
        self._answered()
        return answer

    def _answered(self) -> None:
        self._failures, self._pause = 0, 0.0

    def _failed(self, *, widen: bool) -> None:
        """`widen`: the probe failed. What else fails while the circuit is open was asked before, or insists."""
        now = self._clock.monotonic()
        self._failures = 1 if now - self._failed_at > _FORGOTTEN_S else self._failures + 1
        self._failed_at = now
        if self.silent:
            if not widen:
                return
            self._pause = min(2 * self._pause, _PAUSES_S[1])
        elif self._failures >= _FAILURES:
            self._pause = _PAUSES_S[0]
        else:
            return
        self._probe_at = now + self._pause * random.uniform(0.75, 1.25)  # noqa: S311  # spreads replicas, guards nothing


class CircuitBreakers:
    """One for each host, by a name; those not used for the longest are dropped."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._of: OrderedDict[str, CircuitBreaker] = OrderedDict()

    def of(self, host: str) -> CircuitBreaker:
        circuit = self._of.get(host)
        if circuit is None:
            circuit = self._of[host] = CircuitBreaker(self.clock)
            if len(self._of) > _KEPT:
                self._of.popitem(last=False)
        self._of.move_to_end(host)
        return circuit
