"""Series: classes to book every week. Days and hours are on the box's wall clock, as in opening_rules.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from prebooking.domain.cookies import Domain
from prebooking.domain.days import written
from prebooking.domain.opening_rules import OpeningRule, on_the_wall_clock
from prebooking.domain.prebooking import Prebooking
from prebooking.domain.store_outcomes import StoreOutcome

MOST = 20  #: series of one user


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyClass:
    """The class of a series, and the rule by which the box opens it. Days are YYYYMMDD, hours HH:MM."""

    box_subdomain: str
    box_aimharder_id: str
    box_domain: Domain | None = None
    weekdays: tuple[int, ...]  #: 1 is Monday; rising
    starts: str
    name: str | None = None  #: None: any class at that hour
    family_id: str = ""
    insist: int = 0
    days_before: int | None = None
    hours_before: int | None = None
    at: str | None = None
    time_zone: str
    first_day: str | None = None
    last_day: str | None = None

    def has(self, day: date) -> bool:
        on = written(day)
        return (
            day.isoweekday() in self.weekdays
            and (self.first_day is None or on >= self.first_day)
            and (self.last_day is None or on <= self.last_day)
        )

    def starts_at(self, day: date) -> datetime:
        return on_the_wall_clock(day, _time(self.starts), self.time_zone)

    def opens_at(self, day: date) -> datetime:
        at = None if self.at is None else _time(self.at)
        rule = OpeningRule(zone=self.time_zone, days_before=self.days_before, at=at, hours_before=self.hours_before)
        return rule.opens_at(day, _time(self.starts))

    def is_the_same_on(self, day: date, other: "WeeklyClass") -> bool:
        """Returns whether both book the same on that day: the same class for the same person, at the same opening."""
        return _class_of(self) == _class_of(other) and self.opens_at(day) == other.opens_at(day)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDay:
    """A day of the series that has a prebooking."""

    day: str
    prebooking_id: UUID
    own: bool  #: whether this series created it; else the user or another series did


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A class that a user wants every week. Its days become prebookings one after the other."""

    id: UUID
    user_email: str
    revision: int  #: rises with each change, and with each day that becomes a prebooking
    weekly: WeeklyClass
    paused: bool = False
    skip: tuple[str, ...] = ()
    reasons: Mapping[str, str]  #: by day: why a due prebooking could not be created
    taken: tuple[TakenDay, ...] = ()
    now: datetime  #: the database's, when it was read
    created_at: datetime
    updated_at: datetime

    def wants(self, day: date) -> bool:
        return not self.paused and self.weekly.has(day) and written(day) not in self.skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAnswer:
    """The outcome of a change to a series, with the series in its current state."""

    outcome: StoreOutcome
    series: Series | None = None
    made: tuple[Prebooking, ...] = ()
    cancelled: tuple[Prebooking, ...] = ()
    limit: int | None = None  #: the limit that was reached (TOO_MANY)
    retry_after: float = 0.0  #: seconds, if waiting helps


def _class_of(weekly: WeeklyClass) -> tuple[object, ...]:
    box = (weekly.box_subdomain, weekly.box_aimharder_id, weekly.box_domain)
    return (*box, weekly.starts, weekly.name, weekly.time_zone, weekly.family_id, weekly.insist)


def _time(text: str) -> time:
    return time(int(text[:2]), int(text[3:]))
