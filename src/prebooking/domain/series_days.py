"""The days of a series: when they open, and which of them are due for a prebooking."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from prebooking.domain.days import read_day, written
from prebooking.domain.series import Series, WeeklyClass

SHOWN = timedelta(weeks=4)
AHEAD = timedelta(days=8)  #: how long before its opening a day becomes a prebooking
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeriesDay:
    """One day of a series."""

    day: date
    starts_at: datetime
    opens_at: datetime


def days_from(series: Series, now: datetime) -> Iterator[SeriesDay]:
    """Yields the days whose class has not begun, also skipped and paused ones; without end if the series has none."""
    weekly = series.weekly
    day = _first(weekly, now)
    while weekly.last_day is None or written(day) <= weekly.last_day:
        if weekly.has(day) and (starts_at := weekly.starts_at(day)) > now:
            yield SeriesDay(day, starts_at, weekly.opens_at(day))
        day += _DAY


def days_to_show(series: Series, now: datetime) -> list[SeriesDay]:
    """Returns the days of the next four weeks."""
    end = _first(series.weekly, now) + SHOWN
    shown = []
    for one in days_from(series, now):
        if one.day >= end:
            break
        shown.append(one)
    return shown


def due_days(series: Series, now: datetime) -> tuple[SeriesDay, ...]:
    """Returns the days that are due for a prebooking: those that have opened or open within eight days, and the next
    one in any case, so that there is always a message that wakes the service.
    """
    due, _ = _due(series, now)
    return due


def next_due_at(series: Series, now: datetime) -> datetime | None:
    """Returns when the next day becomes due; None: never."""
    due, following = _due(series, now)
    if following is None:
        return None
    return min(following.opens_at - AHEAD, due[-1].opens_at)


def _due(series: Series, now: datetime) -> tuple[tuple[SeriesDay, ...], SeriesDay | None]:
    """Returns the due days, and the one after them. A later day never opens earlier."""
    due: list[SeriesDay] = []
    if series.paused:
        return (), None
    for one in days_from(series, now):
        if not series.wants(one.day):
            continue
        if one.opens_at > now + AHEAD and any(earlier.opens_at > now for earlier in due):
            return tuple(due), one
        due.append(one)
    return tuple(due), None


def _first(weekly: WeeklyClass, now: datetime) -> date:
    today = now.astimezone(ZoneInfo(weekly.time_zone)).date()
    return today if weekly.first_day is None else max(today, read_day(weekly.first_day))
