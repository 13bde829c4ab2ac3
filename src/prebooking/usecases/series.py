"""Creates, changes and ends series, and creates the prebookings of their due days.

`fill` creates the prebookings of all due days. Any process may call it at any time, and repeat it. Creating and
changing a series call it at once; what is still missing, or becomes due later, is created by a background task.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from uuid import UUID, uuid4

import structlog

from prebooking.domain.days import read_day
from prebooking.domain.errors import StoreUnavailableError
from prebooking.domain.ports import Clock, SeriesStore
from prebooking.domain.series import MOST, Series, SeriesAnswer, WeeklyClass
from prebooking.domain.series_days import due_days, next_due_at
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.schedule import Scheduler

_log = structlog.get_logger()

_WAIT_S = 8.0  # for the caller; the background task creates what is left
_MESSAGES_S = 4.0  # for those of one step: the sweep schedules what is left
_TRIES = 5  # attempts while others change the series
_BATCHES = 10  # series in one pass
_LONGEST_PAUSE = timedelta(days=1)  # the prebooking of a day may have been lost without the series being notified


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The wanted state of a series."""

    weekly: WeeklyClass
    paused: bool
    skip: tuple[str, ...]


class WeeklySeries:
    def __init__(self, store: SeriesStore, scheduler: Scheduler, gate: Gate, clock: Clock, *, max_active: int) -> None:
        self._store = store
        self._scheduler = scheduler
        self._gate = gate
        self._clock = clock
        self._max_active = max_active

    async def create(self, user_email: str, weekly: WeeklyClass) -> SeriesAnswer:
        """Creates a series. Outcomes: created, existing, too_many. Raises StoreUnavailableError."""
        asked = self._clock.monotonic()
        return await self._filled(await self._store.create_series(uuid4(), user_email, weekly, most=MOST), asked)

    async def list(self, user_email: str) -> Sequence[Series]:
        """Raises StoreUnavailableError."""
        return await self._store.list_series(user_email)

    async def read(self, user_email: str, series_id: UUID) -> Series | None:
        """Raises StoreUnavailableError."""
        return next(iter(await self._store.list_series(user_email, series_id=series_id)), None)

    async def change(self, user_email: str, series_id: UUID, change: Callable[[Series], Wanted]) -> SeriesAnswer:
        """Changes a series. Outcomes: changed, not_found, too_many. Raises StoreUnavailableError, and as `change`."""
        asked = self._clock.monotonic()
        for _ in range(_TRIES):
            series = await self.read(user_email, series_id)
            if series is None:
                return SeriesAnswer(outcome=StoreOutcome.NOT_FOUND)
            wanted = change(series)
            after = replace(series, weekly=wanted.weekly, paused=wanted.paused, skip=wanted.skip)
            if after == series:  # a repeat, perhaps of a call whose answer was lost
                return await self._filled(SeriesAnswer(outcome=StoreOutcome.CHANGED, series=series), asked)
            changed = await self._store.change_series(
                series,
                weekly=wanted.weekly,
                paused=wanted.paused,
                skip=wanted.skip,
                cancel=_unfit(series, after),
                max_active=self._max_active,
            )
            if changed.outcome is not StoreOutcome.STALE:
                return await self._filled(changed, asked)
        raise StoreUnavailableError("the series was changed by others at the same time")

    async def end(self, user_email: str, series_id: UUID, *, keep: bool) -> bool:
        """Ends the series. Returns whether there was one. Raises StoreUnavailableError.

        `keep`: pending prebookings stay, as ordinary ones.
        """
        was_there = await self.read(user_email, series_id) is not None
        ended = await self._store.end_series(series_id, user_email, keep=keep)
        await self._follow_with_messages(ended)
        # It may have been ended meanwhile, perhaps by this call, whose answer was lost; or could not be parsed.
        return was_there or ended.outcome is not StoreOutcome.NOT_FOUND

    async def fill(self, series: Series) -> Series:
        """Creates the missing prebookings of due days. Returns the current series. Raises StoreUnavailableError."""
        for _ in range(_TRIES):
            due, following = due_days(series, series.now), next_due_at(series, series.now)
            look_at = series.now + _LONGEST_PAUSE if due else None
            filled = await self._store.fill_series(
                series,
                {uuid4(): one for one in due},
                max_active=self._max_active,
                look_at=min(look_at, following) if look_at and following else look_at,
            )
            if filled.series is None:
                return series  # it was ended meanwhile
            series = filled.series
            if filled.outcome is not StoreOutcome.STALE:
                await self._follow_with_messages(filled)
                break
        return series

    async def fill_due(self, until: float = inf) -> None:
        """Fills all due series. Begins no batch after `until` (monotonic). Raises StoreUnavailableError."""
        for _ in range(_BATCHES):
            await self._gate.calm()
            taken = await self._store.take_series() if self._clock.monotonic() < until else ()
            if not taken:
                break
            for series in taken:
                await self._gate.calm()
                try:
                    await self.fill(series)
                except StoreUnavailableError:
                    raise
                except Exception:  # noqa: BLE001  # a bug with one series must not delay the others
                    _log.exception("series_failed", series_id=str(series.id))

    async def _filled(self, answer: SeriesAnswer, asked: float) -> SeriesAnswer:
        """Fills the series, and returns the answer with its current state, if that is known in time."""
        if answer.series is None:
            return answer
        series = answer.series
        try:
            async with asyncio.timeout(max(0.0, asked + _WAIT_S - self._clock.monotonic())):
                await self._follow_with_messages(answer)
                series = await self.fill(series)
        except (TimeoutError, StoreUnavailableError) as exc:
            _log.warning("series_not_filled", series_id=str(series.id), reason=str(exc) or "out of time")
        return replace(answer, series=series)

    async def _follow_with_messages(self, answer: SeriesAnswer) -> None:
        """Schedules the messages of the created prebookings, and deletes those of the cancelled ones."""
        try:
            async with asyncio.timeout(_MESSAGES_S):
                await asyncio.gather(
                    *(self._scheduler.schedule_message(made) for made in answer.made),
                    *(self._scheduler.delete_message(cancelled) for cancelled in answer.cancelled),
                )
        except TimeoutError:
            _log.info("series_messages_late", made=len(answer.made), cancelled=len(answer.cancelled))


def _unfit(series: Series, after: Series) -> list[UUID]:
    """Returns the series' own prebookings that do not fit any more."""
    return [
        one.prebooking_id
        for one in series.taken
        if one.own and not (after.wants(day := read_day(one.day)) and after.weekly.is_the_same_on(day, series.weekly))
    ]
