"""The calendar's text: valid by RFC 5545 whatever gyms and users write, and telling how each prebooking stands."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.icalendar_rules import Event, read_calendar, unfolded

from prebooking.adapters.icalendar_file import ICalendarFile
from prebooking.domain.calendars import CalendarEntry
from prebooking.domain.prebooking import Status

FILE = ICalendarFile()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTRY = CalendarEntry(
    id=UUID("0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11"),
    status=Status.PENDING,
    outcome=None,
    given_back=False,
    day="20261126",
    starts_at=datetime(2026, 11, 26, 7, tzinfo=UTC),
    minutes=None,
    opens_at=datetime(2026, 11, 22, 7, tzinfo=UTC),
    time_zone="Europe/Madrid",
    name="CrossFit",
    gym="My Gym",
    created_at=NOON - timedelta(hours=1),
    updated_at=NOON,
)
BOOKED = replace(ENTRY, status=Status.COMPLETED, outcome="booked")


def whole(*entries: CalendarEntry) -> bytes:
    return b"".join([FILE.head, *map(FILE.event, entries), FILE.end])


def event(entry: CalendarEntry) -> Event:
    [read] = read_calendar(whole(entry)).values()
    return read


# Whatever a database can hold, and more: line breaks of all kinds, separators, escapes, control characters, scripts
# that are written from right to left, half surrogate pairs.
TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(codec=None, exclude_categories=()), max_size=200),
    st.text("\r\n\t\x00\x0b\x85\u2028;:,\\\"'=áñ日😀\u200d\u202e BEGIN:VEVENT", max_size=200),
)
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ENTRIES = st.builds(
    CalendarEntry,
    id=st.uuids(),
    status=st.sampled_from(Status),
    outcome=TEXTS,
    given_back=st.booleans(),
    day=st.one_of(st.none(), st.from_regex(r"[0-9]{8}", fullmatch=True), st.dates().map(lambda day: f"{day:%Y%m%d}")),
    starts_at=st.one_of(st.none(), INSTANTS),
    minutes=st.one_of(st.none(), st.integers(0, 9999)),
    opens_at=st.one_of(st.none(), INSTANTS),
    time_zone=st.one_of(TEXTS, st.just("Europe/Madrid")),
    name=TEXTS,
    gym=TEXTS,
    created_at=INSTANTS,
    updated_at=INSTANTS,
)


@given(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.id))
@example([replace(ENTRY, name="x\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:forged", gym="\ud800\x00\x1b[31m")])
@example([replace(ENTRY, name="日" * 200, gym="👩‍👩‍👧" * 60)])
@example([replace(ENTRY, starts_at=None, day="99991231")])
def test_it_is_valid_whatever_names_it_has(entries: list[CalendarEntry]) -> None:
    placed = {str(entry.id) for entry in entries if FILE.event(entry)}
    assert set(read_calendar(whole(*entries))) == placed


@given(st.text(max_size=200))
def test_a_name_of_one_line_is_read_back_as_it_was(name: str) -> None:
    plain = " ".join(name.split())
    if plain.isprintable():
        assert event(replace(ENTRY, name=name))["SUMMARY"] == (plain or "Class")


def test_a_name_can_not_add_a_line() -> None:
    forged = whole(replace(ENTRY, name="Yoga\r\nSTATUS:CONFIRMED\nATTENDEE:mailto:x@example.com"))
    assert [line for line in unfolded(forged) if line.startswith(("STATUS", "ATTENDEE"))] == ["STATUS:TENTATIVE"]


@pytest.mark.parametrize(
    ("entry", "status", "told"),
    [
        (BOOKED, "CONFIRMED", "Booked."),
        (replace(BOOKED, outcome="already_booked"), "CONFIRMED", "Booked."),
        (replace(BOOKED, outcome=None), "CONFIRMED", "Booked."),  # by the web application, which tells no outcome
        (ENTRY, "TENTATIVE", "Not booked yet: opens on 2026-11-22 08:00:00 (Europe/Madrid)."),
        (replace(ENTRY, status=Status.EXECUTING, time_zone=None), "TENTATIVE", "opens on 2026-11-22 07:00:00 (UTC)."),
        (replace(ENTRY, time_zone="Mars/Base"), "TENTATIVE", "opens on 2026-11-22 07:00:00 (UTC)."),
        (replace(BOOKED, outcome="waiting_list"), "TENTATIVE", "On the waiting list. Opened on 2026-11-22 08:00:00"),
        (replace(ENTRY, status=Status.CANCELLED), "CANCELLED", "Cancelled."),
        (replace(BOOKED, given_back=True), "CANCELLED", "Cancelled."),
        (replace(BOOKED, outcome="waiting_list", given_back=True), "CANCELLED", "Cancelled."),
    ],
)
def test_it_tells_how_each_stands_and_when_it_opens(entry: CalendarEntry, status: str, told: str) -> None:
    read = event(entry)
    assert read["STATUS"] == status
    assert told in read["DESCRIPTION"]


def test_it_tells_where_and_when_the_class_is() -> None:
    read = event(ENTRY)
    assert (read["SUMMARY"], read["LOCATION"], read["UID"]) == ("CrossFit", "My Gym", str(ENTRY.id))
    assert read["DTSTART"] == ENTRY.starts_at
    assert read["DTEND"] - read["DTSTART"] == timedelta(hours=1)
    assert event(replace(ENTRY, minutes=45))["DTEND"] - read["DTSTART"] == timedelta(minutes=45)


def test_a_class_whose_start_nobody_knows_takes_its_whole_day() -> None:
    read = event(replace(ENTRY, starts_at=None))
    assert (read["DTSTART"], read["DTEND"]) == (date(2026, 11, 26), date(2026, 11, 27))


def test_what_nobody_can_place_is_left_out() -> None:
    unplaced = replace(ENTRY, id=uuid4(), starts_at=None, day=None)
    assert set(read_calendar(whole(ENTRY, unplaced))) == {str(ENTRY.id)}


def test_a_change_is_newer_to_calendar_programs_and_the_same_event() -> None:
    before, after = event(ENTRY), event(replace(BOOKED, updated_at=NOON + timedelta(seconds=1)))
    assert before["UID"] == after["UID"]
    assert before["SEQUENCE"] < after["SEQUENCE"]
    assert before["LAST-MODIFIED"] < after["LAST-MODIFIED"]
    assert before["DTSTAMP"] < after["DTSTAMP"]


def test_what_has_not_changed_is_the_same_text() -> None:
    assert whole(ENTRY, BOOKED) == b"".join(
        [ICalendarFile().head, *map(ICalendarFile().event, (ENTRY, BOOKED)), FILE.end]
    )
