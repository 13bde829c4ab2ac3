"""Instants, as whole nanoseconds since the epoch, and the wall clock of a gym."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator

Clock = Callable[[], int]

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    """Returns nanoseconds, exact to the microsecond, which a float of seconds is not."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _read(value: object) -> object:
    return nanoseconds(datetime.fromisoformat(value)) if isinstance(value, str) else value


Instant = Annotated[int, BeforeValidator(_read)]
"""Epoch nanoseconds; ISO 8601 with an offset is read into it."""


def is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a date alone
    except ValueError:
        return False
    return len(text) == 8 and text.isascii()


def _checked_day(text: str) -> str:
    if not is_day(text):
        raise ValueError("a day is written YYYYMMDD")
    return text


Day = Annotated[str, AfterValidator(_checked_day)]


def at_wall_clock(day: str, time: str, zone: str, *, days_before: int = 0) -> int:
    """Returns the instant at which clocks in the zone show that time; going back keeps the time over a DST change."""
    local = datetime.strptime(f"{day} {time}", "%Y%m%d %H:%M").replace(tzinfo=ZoneInfo(zone))
    return nanoseconds(local - timedelta(days=days_before))
