"""What RFC 5545 demands of a calendar file, checked on its bytes; the library parses what they say."""

import re
from datetime import date, datetime
from typing import Any

from icalendar import Calendar

_LONGEST_LINE = 75  # octets, without the line break
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # 3.1: CONTROL
_ONCE = {
    "UID",
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "STATUS",
    "SUMMARY",
    "DESCRIPTION",
    "SEQUENCE",
    "LAST-MODIFIED",
    "CREATED",
}
_STATUSES = {"CONFIRMED", "TENTATIVE", "CANCELLED"}

Event = dict[str, Any]


def read_calendar(file: bytes) -> dict[str, Event]:
    """Returns the events by their UID, each property as the library reads it. Raises AssertionError."""
    assert file.startswith(b"BEGIN:VCALENDAR\r\n")
    assert file.endswith(b"\r\nEND:VCALENDAR\r\n")
    for line in file.removesuffix(b"\r\n").split(b"\r\n"):
        assert 0 < len(line) <= _LONGEST_LINE, line
        assert not _FORBIDDEN.search(line.decode()), line  # each line alone is UTF-8: no character is cut in two
    names = [line.partition(":")[0].partition(";")[0] for line in unfolded(file)]
    assert names.count("VERSION") == names.count("PRODID") == 1
    assert "METHOD" not in names
    calendar = Calendar.from_ical(file)
    assert calendar["VERSION"] == "2.0"
    return {str(event["UID"]): _checked(event) for event in _components(calendar)}


def unfolded(file: bytes) -> list[str]:
    return file.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]


def _components(calendar: Calendar) -> list[Any]:
    assert calendar.errors == []
    events = list(calendar.subcomponents)
    assert {event.name for event in events} <= {"VEVENT"}
    assert len({str(event["UID"]) for event in events}) == len(events)
    return events


def _checked(event: Any) -> Event:
    assert event.errors == []
    assert set(event) >= _ONCE
    assert not any(isinstance(event[name], list) for name in event), "a property stands there twice"
    starts, ends = event["DTSTART"].dt, event["DTEND"].dt
    assert type(starts) is type(ends)
    assert ends > starts
    for name in ("DTSTAMP", "LAST-MODIFIED", "CREATED"):
        assert isinstance(event[name].dt, datetime)
        assert event[name].to_ical().endswith(b"Z")  # these are in UTC
    if isinstance(starts, datetime):
        assert event["DTSTART"].to_ical().endswith(b"Z")
    else:
        assert isinstance(starts, date)
        assert event["DTSTART"].params["VALUE"] == event["DTEND"].params["VALUE"] == "DATE"
    assert event["STATUS"] in _STATUSES
    assert event["SEQUENCE"] >= 0
    return {name: value.dt if hasattr(value, "dt") else value for name, value in event.items()}
