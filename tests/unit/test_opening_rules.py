"""Days are counted on the wall clock of the box, hours as they pass; every wall-clock time has one defined instant."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prebooking.domain.opening_rules import OpeningRule, is_zone, on_the_wall_clock

MADRID = "Europe/Madrid"
ZONES = [MADRID, "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


def days(days_before: int, at: str | None = None, zone: str = MADRID) -> OpeningRule:
    return OpeningRule(zone=zone, days_before=days_before, at=time.fromisoformat(at) if at else None)


@pytest.mark.parametrize(
    ("day", "starts", "opens_at"),
    [
        # The class of Wednesday is in winter time, its opening on Saturday in summer time.
        ("2026-10-28", "08:00", "2026-10-24T06:00"),
        ("2026-10-29", "08:00", "2026-10-25T07:00"),
        ("2026-11-04", "08:00", "2026-10-31T07:00"),
        ("2026-04-01", "08:00", "2026-03-28T07:00"),
        ("2026-04-02", "08:00", "2026-03-29T06:00"),
        ("2027-03-31", "08:00", "2027-03-27T07:00"),
        ("2027-04-01", "08:00", "2027-03-28T06:00"),
        ("2027-11-03", "08:00", "2027-10-30T06:00"),
        ("2027-11-04", "08:00", "2027-10-31T07:00"),
        # Across the end of a year, and of a February.
        ("2027-01-02", "07:15", "2026-12-29T06:15"),
        ("2028-03-02", "07:15", "2028-02-27T06:15"),
    ],
)
def test_four_days_before_is_the_same_time_on_the_wall_over_each_change(day: str, starts: str, opens_at: str) -> None:
    assert days(4).opens_at(date.fromisoformat(day), time.fromisoformat(starts)) == utc(opens_at)


def test_a_time_of_its_own_needs_no_start() -> None:
    assert days(2, "12:00").opens_at(date(2026, 10, 26), None) == utc("2026-10-24T10:00")
    assert days(1, "22:00").opens_at(date(2026, 10, 26), time(8)) == utc("2026-10-25T21:00")
    assert days(0, "00:00").opens_at(date(2026, 10, 26), None) == utc("2026-10-25T23:00")


def test_hours_are_hours_that_pass() -> None:
    rule = OpeningRule(zone=MADRID, hours_before=48)
    assert rule.opens_at(date(2026, 10, 26), time(8)) == utc("2026-10-24T07:00")  # 09:00 on the wall
    assert rule.opens_at(date(2026, 3, 30), time(8)) == utc("2026-03-28T06:00")  # 07:00 on the wall


@pytest.mark.parametrize(
    ("zone", "day", "at", "instant", "shown"),
    [
        # Skipped: as if not put forward yet, so the hands show an hour more.
        (MADRID, "2026-03-29", "02:30", "2026-03-29T01:30", "03:30"),
        (MADRID, "2027-03-28", "02:00", "2027-03-28T01:00", "03:00"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:45", "02:45"),  # by half an hour
        # Twice: the first.
        (MADRID, "2026-10-25", "02:30", "2026-10-25T00:30", "02:30"),
        (MADRID, "2027-10-31", "02:59", "2027-10-31T00:59", "02:59"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30", "01:30"),
    ],
)
def test_a_time_that_is_skipped_or_shown_twice_is_one_instant(
    zone: str, day: str, at: str, instant: str, shown: str
) -> None:
    found = on_the_wall_clock(date.fromisoformat(day), time.fromisoformat(at), zone)
    assert found == utc(instant)
    assert f"{found.astimezone(ZoneInfo(zone)):%H:%M}" == shown


@given(day=DAYS, starts=TIMES, before=st.integers(0, 30), zone=st.sampled_from(ZONES))
@example(day=date(2026, 10, 28), starts=time(2, 30), before=3, zone=MADRID)
@example(day=date(2026, 3, 31), starts=time(2, 30), before=2, zone=MADRID)
def test_the_wall_clock_shows_the_classs_time_so_many_days_before_unless_it_skips_it(
    day: date, starts: time, before: int, zone: str
) -> None:
    opens_at = days(before, zone=zone).opens_at(day, starts)
    local = opens_at.astimezone(ZoneInfo(zone))
    wanted = datetime.combine(day - timedelta(days=before), starts)
    late = local.replace(tzinfo=None) - wanted
    assert late in (timedelta(0), timedelta(minutes=30), timedelta(hours=1))
    if late:  # then the wall clock never shows it
        around = (opens_at + timedelta(minutes=m) for m in range(-120, 121))
        assert wanted not in {one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for one in around}
    else:  # then it is the first time that it does
        assert (opens_at - timedelta(hours=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != wanted


@given(day=DAYS, starts=TIMES, hours=st.integers(0, 200), zone=st.sampled_from(ZONES))
def test_so_many_hours_pass_until_the_class(day: date, starts: time, hours: int, zone: str) -> None:
    rule = OpeningRule(zone=zone, hours_before=hours)
    assert on_the_wall_clock(day, starts, zone) - rule.opens_at(day, starts) == timedelta(hours=hours)


@given(day=DAYS, early=TIMES, late=TIMES, before=st.integers(0, 30), zone=st.sampled_from(ZONES))
def test_a_rule_tells_instants_in_utc(day: date, early: time, late: time, before: int, zone: str) -> None:
    for starts in (early, late):
        assert days(before, zone=zone).opens_at(day, starts).tzinfo is UTC


def test_a_start_that_is_needed_and_missing_is_an_error() -> None:
    for rule in (days(4), OpeningRule(zone=MADRID, hours_before=4)):
        assert rule.needs_start
        with pytest.raises(ValueError, match="start"):
            rule.opens_at(date(2026, 10, 28), None)
    assert not days(4, "12:00").needs_start


def test_zones_are_ianas_by_their_exact_names() -> None:
    assert all(is_zone(name) for name in available_timezones())
    for name in (
        "",
        "Madrid",
        "europe/madrid",
        "../etc/passwd",
        "/etc/localtime",
        "CET+1",
        "Europe/Madrid\0",
        "Europe",
    ):
        assert not is_zone(name)
