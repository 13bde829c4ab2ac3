"""When a class starts, as an instant, read off the gym's listing where the clock that it is written by is known."""

import re
from datetime import datetime, time

from prebooking.domain.days import read_day
from prebooking.domain.opening_rules import is_zone, on_the_wall_clock

# 24:00 would be the next day to some and a mistake to others.
_HOUR = re.compile(r"\s*([01]?[0-9]|2[0-3]):([0-5][0-9])(?![0-9])")


def start_of(day: str, hour: str | None, zone: str | None) -> datetime | None:
    """`day` as YYYYMMDD. `hour` as HH:MM, as ListedClass has it; more may follow. None: the start is not known."""
    found = _HOUR.match(hour or "")
    if found is None or zone is None or not is_zone(zone):
        return None
    try:
        return on_the_wall_clock(read_day(day), time(int(found[1]), int(found[2])), zone)
    except (ValueError, OverflowError):
        return None
