"""Parses a day's listing row by row: a row that can't be read is skipped.

AimHarder is written in PHP: an array with gaps arrives as an object, numbers may be strings, and "0" is false.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any

_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})(?![0-9])(?:\s*-\s*([0-9]{1,2}):([0-9]{2}))?")
_TIME_ID = re.compile(r"([0-9]{1,2})([0-9]{2})_([0-9]{1,4})")  # the start, and the length in minutes
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Row:
    """A class of the day, by the fields that identify it. Its other fields are read elsewhere."""

    id: str
    starts: time | None  #: on the gym's wall clock
    ends: time | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a day. `complete`: every row could be read, so a class that is missing here is not listed."""

    rows: tuple[Row, ...]
    complete: bool


def read_rows(said: Any) -> Rows:
    """Returns the rows in their order. Raises ValueError if it is not a listing, or if no row can be read."""
    bookings = _array(said.get("bookings")) if isinstance(said, dict) and not is_true(said.get("logout")) else None
    if bookings is None:
        raise ValueError("not a listing")
    hours = {
        slot["id"]: slot.get("time")
        for slot in _array(said.get("timetable")) or ()
        if isinstance(slot, dict) and isinstance(slot.get("id"), str)
    }
    rows = tuple(_read_row(row, id_, hours) for row in bookings if isinstance(row, dict) and (id_ := _read_id(row)))
    if bookings and not rows:
        raise ValueError("not a listing")
    return Rows(rows, complete=len(rows) == len(bookings))


def is_true(value: Any) -> bool:
    """Returns the truth value that PHP gives it."""
    return bool(value) and value != "0"


def whole(value: Any) -> int | None:
    """Returns the integer of a number or a string; None for anything else."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if isinstance(value, bool) or (isinstance(value, float) and value != number) else number


def _array(value: Any) -> list[Any] | None:
    """Returns the items of an array, also of one with gaps; None for anything else."""
    if isinstance(value, dict):
        return list(value.values()) or None
    return value if isinstance(value, list) else None


def _read_id(row: Mapping[str, Any]) -> str | None:
    value = row.get("id")
    if isinstance(value, str):
        return value.strip() or None if len(value) <= _LONGEST_ID else None
    number = whole(value)
    return str(number) if number else None


def _read_row(row: Mapping[str, Any], id_: str, hours: Mapping[str, Any]) -> Row:
    time_id = row.get("timeid")
    times = [row.get("time"), hours.get(time_id) if isinstance(time_id, str) else None]
    read = [_read_hours(one) for one in times if isinstance(one, str)] + [_read_time_id(time_id)]
    starts, ends = next(((starts, ends) for starts, ends in read if starts), (None, None))
    return Row(id_, starts, ends or next((ends for _, ends in read if ends), None), row)


def _read_hours(said: str) -> tuple[time | None, time | None]:
    """Parses "08:00 - 09:00", or "08:00" alone."""
    found = _HOURS.search(said)
    if found is None:
        return None, None
    return _time(found[1], found[2]), _time(str(int(found[3]) % 24), found[4]) if found[3] else None


def _read_time_id(said: Any) -> tuple[time | None, time | None]:
    found = _TIME_ID.fullmatch(said) if isinstance(said, str) else None
    starts = _time(found[1], found[2]) if found else None
    if found is None or starts is None:
        return None, None
    minutes = 60 * starts.hour + starts.minute + int(found[3])
    return starts, time(minutes // 60 % 24, minutes % 60)


def _time(hours: str, minutes: str) -> time | None:
    """Parses a time. A start at 24:00 is refused: it is ambiguous between two days."""
    try:
        return time(int(hours), int(minutes))
    except ValueError:
        return None
