"""When QStash is asked to take a message: sparsely, while it takes none of ours, or not this one.

What it says of the account (another region, a quota, a time-out) holds for every message: ordering pauses. What it says
of one message holds for that one alone, which is ordered again once in a while.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from prebooking.domain.errors import MessagingError, OrdersPausedError
from prebooking.domain.ports import Clock
from prebooking.domain.work import Unscheduled

_log = structlog.get_logger()

_PAUSES_S = (5.0, 300.0)  # first and longest, doubling
_ENOUGH = 3  # refusals in a row, after which even what has no time asks no more than once in a first pause
_AGAIN_S = (60.0, 3600.0)  # a message that was refused itself, doubling
_MOST = 10  # such refusals within a minute: what is wrong with so many is no message's own
_WITHIN_S = 60.0


class PublishBackoff:
    """The account of one replica: whether it is worth asking."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusals = 0  #: in a row
        self._pause_s = 0.0  #: 0: QStash takes orders
        self._asked_at = self._refused_at = self._told_at = 0.0

    @property
    def paused(self) -> bool:
        """For whatever can wait: the sweep, the notices."""
        return self._pause_s > 0 and self._clock.monotonic() < self._asked_at + self._pause_s

    @asynccontextmanager
    async def order(self) -> AsyncIterator[None]:
        """Around an order. Raises OrdersPausedError where that is not asked: a create may probe, but rarely."""
        now = self._clock.monotonic()
        if self._refusals >= _ENOUGH and now < self._asked_at + _PAUSES_S[0]:
            raise OrdersPausedError
        if self._pause_s:
            self._asked_at = now
        try:
            yield
        except MessagingError as exc:
            if exc.pause:
                self._refused(exc)
            else:
                self._taken()
            raise
        self._taken()

    def _refused(self, exc: MessagingError) -> None:
        now, since = self._clock.monotonic(), self._refused_at
        self._refusals += 1
        if not self._pause_s:
            self._pause_s, self._told_at = _PAUSES_S[0], now - _PAUSES_S[1]
        elif now - since >= _PAUSES_S[0]:  # a probe's, and not one of many that were under way
            self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])
        self._refused_at = self._asked_at = now
        if now - self._told_at >= _PAUSES_S[1]:
            self._told_at = now
            _log.warning("ordering_paused", reason=str(exc))

    def _taken(self) -> None:
        if self._pause_s:
            _log.info("ordering_resumed", refused=self._refusals)
        self._refusals, self._pause_s = 0, 0.0


@dataclass(slots=True)
class _Refusal:
    again_at: float
    pause_s: float


class Refused:
    """Messages that were refused for what they are: each is ordered again now and then, beside all others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusals: dict[tuple[UUID, int], _Refusal] = {}
        self._lately: deque[float] = deque(maxlen=_MOST)

    @property
    def too_many(self) -> bool:
        """A minute's worth."""
        return len(self._lately) == _MOST and self._clock.monotonic() < self._lately[0] + _WITHIN_S

    def worth_ordering(self, missing: Sequence[Unscheduled]) -> list[Unscheduled]:
        """What was not refused a while ago. What is not missing any more is forgotten."""
        if self.too_many:
            return []
        now = self._clock.monotonic()
        known = {_key(one): self._refusals[_key(one)] for one in missing if _key(one) in self._refusals}
        self._refusals = known
        return [one for one in missing if _key(one) not in known or now >= known[_key(one)].again_at]

    def note(self, one: Unscheduled) -> None:
        now, last = self._clock.monotonic(), self._refusals.get(_key(one))
        pause_s = min(2 * last.pause_s, _AGAIN_S[1]) if last else _AGAIN_S[0]
        self._refusals[_key(one)] = _Refusal(now + pause_s, pause_s)
        self._lately.append(now)


def _key(one: Unscheduled) -> tuple[UUID, int]:
    return one.prebooking.id, one.prebooking.version
