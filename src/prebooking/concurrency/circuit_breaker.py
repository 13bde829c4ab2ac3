"""A circuit breaker for each host, in one process: a host that did not answer recently gets few requests.

Without it, each request to a silent host would wait for its own time-out, and all of them would be sent at once when
the host comes back.
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
_FORGOTTEN_S = 30.0  # an older failure does not count
_PAUSES_S = (1.0, 30.0)  # before the first probe and at the longest, doubling
_SLOW_S = 1.0  # a request cancelled after so long counts as a failure
_KEPT = 1000  # hosts, of a few hundred bytes each


class CircuitBreaker:
    """Closed while its host answers. While it is open, one request is let through after each pause: the probe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._failed_at = 0.0
        self._open_s = 0.0  #: from a failure to the next probe; 0: closed
        self._probe_at = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Returns whether the host has not answered recently."""
        return self._open_s > 0

    @property
    def rejects(self) -> bool:
        """Returns whether a request would be rejected now."""
        return self.is_open and (self._probing or self._clock.monotonic() < self._probe_at)

    async def call(self, request: Callable[[], Awaitable[_T]], *, bypass: bool = False) -> _T:
        """Returns what `request` returns. Raises NotSentError while it is open, except to one probe at a time.

        `bypass`: the request is made in any case. Raises what `request` raises.
        """
        if self.rejects and not bypass:
            raise NotSentError("the host did not answer a moment ago")
        probes = self.is_open and not self._probing and not bypass
        self._probing = self._probing or probes
        asked = self._clock.monotonic()
        try:
            answer = await request()
        except (HostSilentError, NotSentError):
            self._failed(from_probe=probes)
            raise
        except asyncio.CancelledError:
            if self._clock.monotonic() - asked >= _SLOW_S:
                self._failed(from_probe=probes)
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
        self._failures, self._open_s = 0, 0.0

    def _failed(self, *, from_probe: bool) -> None:
        """Counts a failure. `from_probe`: a failed probe lengthens the pause.

        Another failure while it is open does not count: the call was made before, or bypassed the circuit breaker.
        """
        now = self._clock.monotonic()
        self._failures = 1 if now - self._failed_at > _FORGOTTEN_S else self._failures + 1
        self._failed_at = now
        if self.is_open:
            if not from_probe:
                return
            self._open_s = min(2 * self._open_s, _PAUSES_S[1])
        elif self._failures >= _FAILURES:
            self._open_s = _PAUSES_S[0]
        else:
            return
        self._probe_at = now + self._open_s * random.uniform(0.75, 1.25)  # noqa: S311  # spreads replicas


class CircuitBreakers:
    """The circuit breakers by host name. The least recently used are dropped."""

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
