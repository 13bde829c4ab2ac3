"""Parses timestamps of RFC 3339, and of Postgres, which may omit the minutes of the offset and writes a space for T."""

import re
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Annotated, Any

from pydantic import AwareDatetime as _Aware
from pydantic import BeforeValidator, Field

_EXAMPLE = "such as 2026-11-22T07:00:00Z"
_RFC3339 = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?P<offset>[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)?"
)
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_LEAP_SECOND = 60


def _instant(value: Any) -> datetime:
    found = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"must be a timestamp with an offset, {_EXAMPLE}")
    if not found["offset"]:
        raise ValueError(f"needs an offset, {_EXAMPLE}")
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    leap = second == _LEAP_SECOND  # Python has no leap seconds: it is the instant that ends the minute
    try:
        local = datetime.fromisoformat(found["day"]).replace(
            hour=hour,
            minute=minute,
            second=second - leap,
            microsecond=int((found["fraction"] or "0")[:6].ljust(6, "0")),
            tzinfo=_zone(found["sign"], time(hours, minutes)),
        )
    except ValueError:
        raise ValueError("has a date, a time of day or an offset that does not exist") from None
    if not _FIRST_YEAR <= local.year <= _LAST_YEAR:
        raise ValueError(f"must be from {_FIRST_YEAR} to {_LAST_YEAR}")
    return (local + timedelta(seconds=leap)).astimezone(UTC)  # Postgres accepts no offset beyond 16 h


def _zone(sign: str | None, offset: time) -> timezone:
    ahead = timedelta(hours=offset.hour, minutes=offset.minute)
    return timezone(-ahead if sign == "-" else ahead)


Instant = Annotated[
    _Aware, BeforeValidator(_instant), Field(description="A timestamp with an offset from UTC, from 2000 to 2100.")
]
