"""Decides when messages are published: at growing intervals while QStash accepts none, or has refused the message.

An error of the account or of QStash itself (another region, a quota, a time-out) holds for every message: the circuit
breaker opens, and publishing pauses. An error of one message holds for that one alone, which is tried again now and
then.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from prebooking.domain.errors import MessagingError, PublishingPausedError
from prebooking.domain.ports import Clock
from prebooking.domain.sweep_result import NeedsMessage

_log = structlog.get_logger()

_PAUSES_S = (5.0, 300.0)  # first and longest, doubling
_REJECT_ALL_AFTER = (
    3  # refusals in a row, after which even creates, which can't wait, are limited to one probe in a first pause
)
_RETRY_PAUSES_S = (60.0, 3600.0)  # for a message that was refused itself: first and longest, doubling
_TOO_MANY = 10  # such refusals within _TOO_MANY_WITHIN_S, which single messages do not explain
_TOO_MANY_WITHIN_S = 60.0


class PublishCircuitBreaker:
    """The circuit breaker of one replica. It is open while QStash accepts no messages of this account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusals = 0  #: in a row
        self._pause_s = 0.0  #: until the next probe; 0: closed
        self._asked_at = self._refused_at = self._told_at = 0.0

    @property
    def paused(self) -> bool:
        """Whether it is open for work that can wait: the sweep and the notices."""
        return self._pause_s > 0 and self._clock.monotonic() < self._asked_at + self._pause_s

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Wraps one publish. Raises PublishingPausedError if QStash may not be called now."""
        now = self._clock.monotonic()
        if self._refusals >= _REJECT_ALL_AFTER and now < self._asked_at + _PAUSES_S[0]:
            raise PublishingPausedError
        if self._pause_s:
            self._asked_at = now
        try:
            yield
        except MessagingError as exc:
            if exc.pause:
                self._refused(exc)
            else:
                self._accepted()
            raise
        self._accepted()

    def _refused(self, exc: MessagingError) -> None:
        now, since = self._clock.monotonic(), self._refused_at
        self._refusals += 1
        if not self._pause_s:
            self._pause_s, self._told_at = _PAUSES_S[0], now - _PAUSES_S[1]
        elif now - since >= _PAUSES_S[0]:  # of a probe, not of one of many calls that were under way
            self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])
        self._refused_at = self._asked_at = now
        if now - self._told_at >= _PAUSES_S[1]:
            self._told_at = now
            _log.warning("ordering_paused", reason=str(exc))

    def _accepted(self) -> None:
        if self._pause_s:
            _log.info("ordering_resumed", refused=self._refusals)
        self._refusals, self._pause_s = 0, 0.0


@dataclass(slots=True)
class _Refusal:
    again_at: float
    pause_s: float


class RefusedMessages:
    """Messages that QStash refused individually. Each is retried at growing intervals, beside all others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusals: dict[tuple[UUID, int], _Refusal] = {}
        self._lately: deque[float] = deque(maxlen=_TOO_MANY)

    @property
    def too_many(self) -> bool:
        """Whether so many were refused within a minute that no other is published."""
        return len(self._lately) == _TOO_MANY and self._clock.monotonic() < self._lately[0] + _TOO_MANY_WITHIN_S

    def due(self, missing: Sequence[NeedsMessage]) -> list[NeedsMessage]:
        """Returns the messages that were not refused, or are due again. Forgets those that are not missing any more."""
        if self.too_many:
            return []
        now = self._clock.monotonic()
        known = {_key(one): self._refusals[_key(one)] for one in missing if _key(one) in self._refusals}
        self._refusals = known
        return [one for one in missing if _key(one) not in known or now >= known[_key(one)].again_at]

    def note(self, one: NeedsMessage) -> None:
        now, last = self._clock.monotonic(), self._refusals.get(_key(one))
        pause_s = min(2 * last.pause_s, _RETRY_PAUSES_S[1]) if last else _RETRY_PAUSES_S[0]
        self._refusals[_key(one)] = _Refusal(now + pause_s, pause_s)
        self._lately.append(now)


def _key(one: NeedsMessage) -> tuple[UUID, int]:
    return one.prebooking.id, one.prebooking.version
