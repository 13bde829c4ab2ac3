"""Polls the listings of boxes for all executions of this process whose class is not listed yet.

There is one poller for each box and day: the listing is public, so its classes and ids are the same for all members.
It uses one member's session at a time, and another one if that gets no answer or its execution has ended.
"""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter

import structlog

from prebooking.domain.classes import Listing
from prebooking.domain.errors import BoxBlockedError, BoxSilentError
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.ports import Gym
from prebooking.usecases.booking.gate import Gate, Rank

_log = structlog.get_logger()

_BEFORE_S = 0.5
_JUST_OPENED_S, _AT_FIRST_S = 5.0, 0.1
_LATER_S = 1.0
_STEP_S = 0.1
_HEDGE_S = 0.5  # without an answer, until another member asks as well
_MOST_AT_ONCE = 3
_BLOCKED_S = (1.0, 10.0)  # after a first refusal, and at the longest, each twice as long as the last


Key = tuple[str, str, str]  #: the box's host and number, and the day


@dataclass(eq=False, slots=True, kw_only=True)
class Watcher:
    """A waiting execution. `look` is called with each listing, also those of other members, so the user's bookings are
    not in it. The execution that was created first is called first.
    """

    gym: Gym
    opening: float  #: epoch seconds
    rank: Rank
    look: Callable[[Listing], None]


@dataclass(eq=False, slots=True)
class _Day:
    watchers: list[Watcher] = field(default_factory=list)
    polling: asyncio.Task[None] | None = None
    spokesman: Watcher | None = None
    asking: dict[Watcher, asyncio.Task[Listing]] = field(default_factory=dict)
    blocked: int = 0  #: how often recently


class DayListings:
    """The pollers of one process. Their state does not matter after a crash."""

    def __init__(self, gate: Gate, clock: OpeningClock) -> None:
        self._gate = gate
        self._clock = clock
        self._days: dict[Key, _Day] = {}

    def watch(self, key: Key, watcher: Watcher) -> Callable[[], None]:
        """Adds an execution. Returns the function that removes it."""
        one = self._days.setdefault(key, _Day())
        insort(one.watchers, watcher, key=attrgetter("rank"))
        if one.polling is None:
            one.polling = asyncio.create_task(self._poll(key, one))

        def leave() -> None:
            one.watchers.remove(watcher)
            if watcher in one.asking:
                one.asking[watcher].cancel()  # its connections are about to be closed
            if not one.watchers and one.polling is not None:
                one.polling.cancel()
                self._days.pop(key, None)

        return leave

    async def _poll(self, key: Key, one: _Day) -> None:
        _, _, day = key
        asked = self._clock.now()
        while one.watchers:
            while (left := self._next(one, asked) - self._clock.now()) > 0:
                await self._clock.sleep(
                    min(left, _STEP_S)
                )  # an execution that joins meanwhile may need the listing earlier
            await self._gate.quiet()
            asked = self._clock.now()
            listing = await self._ask(one, day)
            if listing is None:
                continue
            for watcher in tuple(one.watchers):
                try:
                    watcher.look(listing)
                except Exception:  # noqa: BLE001  # a bug in one execution must not affect the others
                    _log.exception("listing_not_looked_at")

    async def _ask(self, one: _Day, day: str) -> Listing | None:
        """Requests the listing. Returns None if it failed: then another member's session is next.

        Where an answer takes long, the next members in turn ask as well: it may be one session or connection that
        hangs, for which the others need not wait.
        """
        asked: set[Watcher] = set()
        try:
            while one.watchers:
                speaks = self._next_to_ask(one, asked)
                if speaks is not None and len(asked) < _MOST_AT_ONCE:
                    asked.add(speaks)
                    one.asking[speaks] = asyncio.create_task(_listing(speaks.gym, day))
                if not one.asking:
                    return None
                within_s = _HEDGE_S if len(asked) < min(_MOST_AT_ONCE, len(one.watchers)) else None
                done, _ = await asyncio.wait(one.asking.values(), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
                for watcher in [watcher for watcher, asking in one.asking.items() if asking in done]:
                    listing = self._answer(one, watcher, one.asking.pop(watcher))
                    if listing is not None:
                        one.blocked = max(0, one.blocked - 1)
                        one.spokesman = watcher
                        return listing
                if done and not one.asking:
                    return None
            return None
        finally:
            for asking in one.asking.values():
                asking.cancel()
            one.asking.clear()

    def _next_to_ask(self, one: _Day, asked: set[Watcher]) -> Watcher | None:
        if not asked:
            return one.spokesman if one.spokesman in one.watchers else one.watchers[0]
        return next((watcher for watcher in one.watchers if watcher not in asked), None)

    def _answer(self, one: _Day, watcher: Watcher, asking: asyncio.Task[Listing]) -> Listing | None:
        if asking.cancelled():
            return None  # that execution has ended
        try:
            return asking.result()
        except BoxSilentError as exc:
            one.blocked += isinstance(exc, BoxBlockedError)
        except Exception:  # noqa: BLE001  # a bug must not end the poller that all wait for
            _log.exception("listing_not_asked")
        one.spokesman = _after(one.watchers, watcher)
        return None

    def _next(self, one: _Day, asked: float) -> float:
        """Returns when to poll again: at the next opening at the latest, unless the box refuses requests."""
        pause_s = min((_pause(asked - watcher.opening) for watcher in one.watchers), default=_LATER_S)
        if one.blocked:
            shortest, longest = _BLOCKED_S
            return asked + min(longest, shortest * 2.0 ** (one.blocked - 1))
        opening = min((watcher.opening for watcher in one.watchers if watcher.opening > asked), default=inf)
        return min(asked + pause_s, opening)


async def _listing(gym: Gym, day: str) -> Listing:
    return await gym.listing(day, "")


def _after(watchers: list[Watcher], speaks: Watcher) -> Watcher | None:
    """Returns the next one in turn, or None if there is none left."""
    place = watchers.index(speaks) if speaks in watchers else -1
    return watchers[(place + 1) % len(watchers)] if watchers else None


def _pause(since_opening_s: float) -> float:
    if since_opening_s < 0:
        return _BEFORE_S
    return _AT_FIRST_S if since_opening_s < _JUST_OPENED_S else _LATER_S
