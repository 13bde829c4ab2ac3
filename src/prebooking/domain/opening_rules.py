"""The rule by which a box opens a class: a number of days or hours before the class's local start.

Days are counted on the wall clock of the box, as gyms mean them: four days before a class of Wednesday 08:00 is
Saturday 08:00, though an hour was lost or gained between. Hours are hours that pass, whatever the wall clock shows.

Twice a year a local time is ambiguous. A time that the clocks skip (spring) counts as if they had not been put
forward yet: 02:30 is the 03:30 that they show. A time that they show twice (autumn) is the first of the two. RFC 5545
reads them so, and so does PHP, in which AimHarder is written.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

LONGEST_DAYS = 90
LONGEST_HOURS = 24 * LONGEST_DAYS


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # walks a folder


def is_zone(name: str) -> bool:
    """Returns whether it is a time zone's name in IANA's database, such as Europe/Madrid."""
    return name in _zones()


def on_the_wall_clock(day: date, at: time, zone: str) -> datetime:
    """Returns the instant in UTC at which clocks in the zone show that time. For gaps and repeats see above."""
    return datetime.combine(day, at.replace(fold=0), ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRule:
    """Exactly one of `days_before` and `hours_before` is set."""

    zone: str
    days_before: int | None = None
    at: time | None = None  #: local time on that day; None: the time of the class
    hours_before: int | None = None

    @property
    def needs_start(self) -> bool:
        """Whether the opening depends on the class's start, not only on its day."""
        return self.at is None

    def opens_at(self, day: date, starts: time | None) -> datetime:
        """In UTC. `day` and `starts` are the class's, in the calendar and on the wall clock of the box.

        Raises ValueError where the start is needed and missing, and OverflowError before the year 1.
        """
        if self.days_before is not None:
            at = self.at or starts
            if at is None:
                raise ValueError("the class's start is missing")
            return on_the_wall_clock(day - timedelta(days=self.days_before), at, self.zone)
        if starts is None or self.hours_before is None:
            raise ValueError("the class's start is missing")
        return on_the_wall_clock(day, starts, self.zone) - timedelta(hours=self.hours_before)
