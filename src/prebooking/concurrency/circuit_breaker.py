"""A host that did not answer a moment ago is asked again sparsely: a circuit breaker for each host, in one process.

Without it, all that wants a silent host waits out each question's time-out, again and again, and the host finds a crowd
at its door whenever it comes back.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prebooking.domain.errors import BoxSilentError, HostSilentError, NotSentError
from prebooking.domain.ports import Clock

_T = TypeVar("_T")

_FAILURES = 3  # in a row, whoever asked: one may be a single user's trouble, or a connection's
_FORGOTTEN_S = 30.0  # a failure so long ago says nothing any more
_PAUSES_S = (1.0, 30.0)  # before the first probe and at the longest, doubling
_SLOW_S = 1.0  # who gives up waiting after so long has found the host silent
_KEPT = 1000  # hosts, of a few hundred bytes each


class CircuitBreaker:
    """Closed while its host answers. Open: it lets one question through after each pause, which is the probe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._failed_at = 0.0
        self._pause = 0.0  #: 0: closed
        self._probe_at = 0.0
        self._probing = False

    @property
    def silent(self) -> bool:
        """Whether it is open: the host has not answered of late."""
        return self._pause > 0

    @property
    def refuses(self) -> bool:
        """Whether a question would be refused now."""
        return self.silent and (self._probing or self._clock.monotonic() < self._probe_at)

    async def ask(self, question: Callable[[], Awaitable[_T]], *, insist: bool = False) -> _T:
        """Asks, unless the circuit is open: then raises NotSentError at once, but for one probe at a time.

        `insist` asks in any case. Raises what the question raises.
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
            self._answered()  # of no use, but no silence
            raise
        finally:
            if probes:
                self._probing = False
        self._answered()
        return answer

    def _answered(self) -> None:
        self._failures, self._pause = 0, 0.0

    def _failed(self, *, widen: bool) -> None:
        """`widen`: it was the probe. What else fails while the circuit is open was asked before, or insists."""
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
    """One for each host, by whatever names it; those not asked for the longest are forgotten."""

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
