"""The start of a class as an instant, from the gym's listing and its time zone."""

import re
from datetime import datetime, time

from prebooking.domain.days import read_day
from prebooking.domain.opening_rules import is_zone, on_the_wall_clock

# 24:00 is refused: it is ambiguous between two days.
_HOUR = re.compile(r"\s*([01]?[0-9]|2[0-3]):([0-5][0-9])(?![0-9])")


def start_of(day: str, hour: str | None, zone: str | None) -> datetime | None:
    """Returns the start, or None if it is unknown. `day`: YYYYMMDD. `hour`: HH:MM, and perhaps more text after it."""
    found = _HOUR.match(hour or "")
    if found is None or zone is None or not is_zone(zone):
        return None
    try:
        return on_the_wall_clock(read_day(day), time(int(found[1]), int(found[2])), zone)
    except (ValueError, OverflowError):
        return None
