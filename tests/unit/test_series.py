"""The days of a series, and which are due: over two years, each change of daylight saving among them."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from prebooking.domain.days import read_day, written
from prebooking.domain.opening_rules import OpeningRule, on_the_wall_clock
from prebooking.domain.series import Series, WeeklyClass
from prebooking.domain.series_days import AHEAD, SeriesDay, days_from, days_to_show, due_days, next_due_at

ZONES = ["Europe/Madrid", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
HOURS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
OPENS = st.one_of(
    st.fixed_dictionaries({"days_before": st.integers(1, 90)}, optional={"at": HOURS}),
    st.fixed_dictionaries({"hours_before": st.integers(1, 2160)}),
)
NOWS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
YEARS = st.dates(date(2026, 1, 1), date(2027, 12, 31))
MONDAY = date(2026, 3, 2)


@st.composite
def weeklies(draw: st.DrawFn) -> WeeklyClass:
    first, last = draw(st.none() | YEARS), draw(st.none() | YEARS)
    return WeeklyClass(
        box_subdomain="mygym",
        box_aimharder_id="7",
        weekdays=tuple(sorted(draw(st.sets(st.integers(1, 7), min_size=1)))),
        starts=draw(HOURS),
        time_zone=draw(st.sampled_from(ZONES)),
        first_day=written(first) if first else None,
        last_day=written(last) if last else None,
        **draw(OPENS),
    )


@st.composite
def all_series(draw: st.DrawFn) -> Series:
    skip = tuple(sorted({written(day) for day in draw(st.lists(YEARS, max_size=20))}))
    return series_of(draw(weeklies()), skip=skip, paused=draw(st.sampled_from([False, False, False, True])))


def series_of(weekly: WeeklyClass, *, skip: tuple[str, ...] = (), paused: bool = False) -> Series:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    return Series(
        id=UUID(int=1),
        user_email="ana@example.com",
        revision=1,
        weekly=weekly,
        skip=skip,
        paused=paused,
        reasons={},
        now=then,
        created_at=then,
        updated_at=then,
    )


def mondays(**more: object) -> Series:
    weekly = WeeklyClass(
        box_subdomain="mygym",
        box_aimharder_id="7",
        weekdays=(1,),
        starts="07:00",
        days_before=4,
        time_zone="Europe/Madrid",
    )
    return series_of(replace(weekly, **more))  # type: ignore[arg-type]  # of any field


def at(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


def shown(days: list[SeriesDay] | tuple[SeriesDay, ...]) -> list[str]:
    return [written(one.day) for one in days]


@given(all_series(), NOWS)
def test_each_day_is_a_weekday_of_the_series_within_its_days_and_not_begun(series: Series, now: datetime) -> None:
    weekly = series.weekly
    found = list(islice(days_from(series, now), 60))
    for one in found:
        assert one.day.isoweekday() in weekly.weekdays
        assert (weekly.first_day or "") <= written(one.day) <= (weekly.last_day or "9")
        assert one.starts_at > now
    if found:  # and none is left out
        span = (found[-1].day - found[0].day).days + 1
        between = [found[0].day + timedelta(days=n) for n in range(span)]
        assert [one.day for one in found] == [day for day in between if day.isoweekday() in weekly.weekdays]


@given(all_series(), NOWS)
def test_start_and_opening_are_those_of_the_opening_rule(series: Series, now: datetime) -> None:
    weekly = series.weekly
    starts = time.fromisoformat(weekly.starts)
    rule = OpeningRule(
        zone=weekly.time_zone,
        days_before=weekly.days_before,
        at=time.fromisoformat(weekly.at) if weekly.at else None,
        hours_before=weekly.hours_before,
    )
    for one in islice(days_from(series, now), 60):
        assert one.starts_at == on_the_wall_clock(one.day, starts, weekly.time_zone)
        assert one.opens_at == rule.opens_at(one.day, starts)


@given(all_series(), NOWS)
def test_a_later_day_never_opens_earlier(series: Series, now: datetime) -> None:
    opens = [one.opens_at for one in islice(days_from(series, now), 60)]
    assert opens == sorted(opens)


@given(all_series(), NOWS)
def test_due_is_what_opens_within_eight_days_and_the_first_opening_to_come(series: Series, now: datetime) -> None:
    due = due_days(series, now)
    wanted = [one for one in islice(days_from(series, now), 250) if series.wants(one.day)]
    within = [one for one in wanted if one.opens_at <= now + AHEAD]
    to_come = [one for one in wanted if one.opens_at > now]
    assert set(due) == {*within, *to_come[:1]}
    assert list(due) == sorted(due, key=lambda one: one.day)


@given(all_series(), NOWS)
def test_a_paused_series_and_a_skipped_day_want_nothing(series: Series, now: datetime) -> None:
    assert due_days(replace(series, paused=True), now) == ()
    assert not set(shown(due_days(series, now))) & set(series.skip)


@given(all_series(), NOWS)
def test_nothing_becomes_due_before_the_instant_that_is_told_and_something_does_then(
    series: Series, now: datetime
) -> None:
    told, due = next_due_at(series, now), set(due_days(series, now))
    if told is None:
        assert set(due_days(series, now + timedelta(days=400))) <= due
        return
    assert told > now
    assert set(due_days(series, told - timedelta(microseconds=1))) <= due
    assert set(due_days(series, told)) - due


@settings(max_examples=20)
@given(weeklies())
def test_looking_only_when_something_becomes_due_finds_each_day_of_two_years_once(weekly: WeeklyClass) -> None:
    series = series_of(replace(weekly, first_day="20260101", last_day="20271231"))
    now = at("2025-06-01T00:00")
    made: dict[SeriesDay, None] = {}
    looks: datetime | None = now
    while looks is not None:
        made |= dict.fromkeys(due_days(series, looks))
        assert len({one.day for one in made}) == len(made)
        looks = next_due_at(series, looks)
    days = (date(2026, 1, 1) + timedelta(days=n) for n in range(730))
    assert [one.day for one in made] == [day for day in days if day.isoweekday() in weekly.weekdays]


def test_the_first_opening_to_come_is_due_however_far_it_is() -> None:
    series = mondays(first_day="20270104")
    assert shown(due_days(series, at("2026-03-01T12:00"))) == ["20270104"]
    assert next_due_at(series, at("2026-03-01T12:00")) == at("2027-01-07T06:00") - AHEAD


def test_after_weeks_that_are_skipped_the_next_becomes_due_when_nothing_else_is_to_come() -> None:
    series = replace(mondays(), skip=("20260309", "20260316", "20260323"))
    now = at("2026-02-25T12:00")
    assert shown(due_days(series, now)) == ["20260302"]
    assert next_due_at(series, now) == at("2026-02-26T06:00")  # its opening
    assert shown(due_days(series, at("2026-02-26T06:00"))) == ["20260302", "20260330"]


def test_what_has_opened_is_due_until_its_class_begins() -> None:
    series = mondays()
    assert shown(due_days(series, at("2026-03-02T05:59"))) == ["20260302", "20260309"]
    assert shown(due_days(series, at("2026-03-02T06:00"))) == ["20260309"]


def test_four_weeks_are_shown_from_today_or_the_first_day() -> None:
    series = mondays()
    assert shown(days_to_show(series, at("2026-03-02T05:00"))) == ["20260302", "20260309", "20260316", "20260323"]
    assert shown(days_to_show(series, at("2026-03-02T07:00"))) == ["20260309", "20260316", "20260323"]
    later = mondays(first_day="20260701")
    assert shown(days_to_show(later, at("2026-03-02T07:00"))) == ["20260706", "20260713", "20260720", "20260727"]
    assert days_to_show(mondays(last_day="20260301"), at("2026-03-02T05:00")) == []


def test_today_is_todays_day_at_the_box() -> None:
    series = mondays(time_zone="Pacific/Auckland", starts="07:00")
    # Sunday evening in UTC is Monday morning there.
    assert shown(days_to_show(series, at("2026-03-01T17:59")))[0] == "20260302"
    assert shown(days_to_show(series, at("2026-03-01T18:01")))[0] == "20260309"
    series = mondays(time_zone="America/Los_Angeles", starts="21:00")
    # Tuesday morning in UTC is Monday evening there.
    assert shown(days_to_show(series, at("2026-03-03T04:59")))[0] == "20260302"
    assert shown(days_to_show(series, at("2026-03-03T05:01")))[0] == "20260309"


def test_what_differs_on_a_day_is_told_from_what_only_is_written_otherwise() -> None:
    weekly = mondays().weekly
    assert replace(weekly, days_before=None, hours_before=96).is_the_same_on(MONDAY, weekly)
    over_the_change = date(2026, 3, 30)
    assert not replace(weekly, days_before=None, hours_before=96).is_the_same_on(over_the_change, weekly)
    assert replace(weekly, weekdays=(1, 2), last_day="20301231").is_the_same_on(MONDAY, weekly)
    for other in ({"starts": "08:00"}, {"name": "WOD"}, {"family_id": "9"}, {"insist": 1}, {"box_subdomain": "kap"}):
        assert not replace(weekly, **other).is_the_same_on(MONDAY, weekly)


def test_days_are_read_as_they_are_written() -> None:
    assert read_day(written(MONDAY)) == MONDAY
