"""Writes calendars as iCalendar (RFC 5545), by the library icalendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

from prebooking.domain.calendars import CalendarEntry, EventStatus
from prebooking.domain.opening_rules import is_zone
from prebooking.domain.plain_text import printable

_END = b"END:VCALENDAR\r\n"
_NAME = "Prebooking"
_REFRESH = timedelta(minutes=15)
_HIGHEST = 2**31 - 1
_LENGTH = timedelta(hours=1)  # of a class whose length is not known
_DESCRIPTIONS = {
    EventStatus.CONFIRMED: "Booked.",
    EventStatus.TENTATIVE: "On the waiting list.",
    EventStatus.CANCELLED: "Cancelled.",
}


class ICalendarFile:
    """See prebooking.domain.ports.CalendarFormat."""

    def __init__(self) -> None:
        calendar = Calendar()
        calendar.add("prodid", "-//Prebooking//Prebooking//EN")
        calendar.add("version", "2.0")
        calendar.add("name", _NAME)
        calendar.add("x-wr-calname", _NAME)
        calendar.add("refresh-interval", _REFRESH, parameters={"value": "DURATION"})
        calendar.add("x-published-ttl", "PT15M")
        self.head: bytes = calendar.to_ical().removesuffix(_END)
        self.end = _END

    def event(self, entry: CalendarEntry) -> bytes:
        when = _when(entry)
        if when is None:
            return b""
        starts, ends = when
        event = Event()
        event.add("uid", str(entry.id))
        event.add("dtstart", starts)
        event.add("dtend", ends)
        event.add("status", entry.event_status.value)
        event.add("summary", _line(entry.name) or "Class")
        event.add("description", _description(entry))
        if gym := _line(entry.gym):
            event.add("location", gym)
        # In a file without METHOD, DTSTAMP is when the event was last revised.
        for name in ("dtstamp", "last-modified"):
            event.add(name, entry.updated_at.astimezone(UTC))
        event.add("created", entry.created_at.astimezone(UTC))
        # Rises with each change, as calendar programs expect.
        event.add("sequence", min(max(0, int((entry.updated_at - entry.created_at).total_seconds())), _HIGHEST))
        text: bytes = event.to_ical()
        return text


def _when(entry: CalendarEntry) -> tuple[datetime, datetime] | tuple[date, date] | None:
    if entry.starts_at is not None:
        starts = entry.starts_at.astimezone(UTC)
        return starts, starts + (timedelta(minutes=entry.minutes) if entry.minutes else _LENGTH)
    try:
        day = date.fromisoformat(entry.day or "")
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def _description(entry: CalendarEntry) -> str:
    if entry.event_status is not EventStatus.TENTATIVE:
        return _DESCRIPTIONS[entry.event_status]
    if entry.opens_at is None:
        return "Waits for its opening." if entry.is_open else _DESCRIPTIONS[entry.event_status]
    zone = entry.time_zone if entry.time_zone and is_zone(entry.time_zone) else "UTC"
    opening = f"{entry.opens_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} ({zone})"
    return (
        f"Not booked yet: opens on {opening}."
        if entry.is_open
        else f"{_DESCRIPTIONS[entry.event_status]} Opened on {opening}."
    )


def _line(text: str | None) -> str:
    """Returns the text in one line, without the characters that RFC 5545 forbids."""
    return printable(" ".join((text or "").split()))
