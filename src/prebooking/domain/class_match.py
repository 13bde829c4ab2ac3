"""Decides which class of a day's listing a prebooking is for. Unknown fields never count as equal.

Ids change when a gym creates a class or a week anew, and some list a class only when it opens: so a class is also known
by its hour and name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from prebooking.domain.classes import ListedClass, Listing
from prebooking.domain.opening_rules import is_zone
from prebooking.domain.prebooking import Prebooking
from prebooking.domain.wished_class import MOST_GYMS_ZONE, plain_name


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunClass:
    """The class that a request was begun for, by the gym's listing; None: unknown."""

    id: str | None = None
    starts: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedClass:
    """The known fields of the class that a prebooking is for."""

    id: str | None
    starts: str | None  #: HH:MM, on the gym's wall clock
    name: str | None  #: by `plain_name`; None: any class of that hour

    def found_in(self, listing: Listing) -> str | None:
        """Returns its id if that is listed, else the id of the only class with its hour and name.

        One that is cancelled may have been created again beside it: that one has its hour and its name.
        """
        listed = listing.get(self.id) if self.id is not None else None
        if listed is not None and not listed.cancelled:
            return self.id
        wanted = self if listed is None else replace(self, name=self.name or listed.plain_name)
        if listed is not None and wanted.name is None:
            return self.id
        fitting = [class_id for class_id, other in wanted.of_that_hour(listing) if not other.cancelled]
        if len(fitting) == 1:
            return fitting[0]
        return None if listed is None else self.id

    def of_that_hour(self, listing: Listing) -> Iterator[tuple[str, ListedClass]]:
        """Yields all classes with its hour and name."""
        for class_id, listed in listing.items():
            if self.is_of_that_hour(listed) and (self.name is None or self.name == listed.plain_name):
                yield class_id, listed

    def is_of_that_hour(self, listed: ListedClass) -> bool:
        """Returns whether the class has its hour; False if either is unknown."""
        return self.starts is not None and self.starts == listed.hour


def wanted_by(
    row: Prebooking, starts_at: datetime | None, time_zone: str | None, seen: BegunClass | None = None
) -> WantedClass:
    """Returns the class that a prebooking is for. `starts_at`, `time_zone`: the class's start and the gym's zone, if
    known.

    `seen`: the class as the gym has listed it.
    """
    class_id = str(row.booking_data.get("id") or "") or None
    if row.class_ is not None:
        return WantedClass(id=class_id, starts=row.class_.starts, name=plain_name(row.class_.name))
    activity = row.booking_data.get("activityName")
    starts = _hour_of(starts_at, time_zone) or (seen and seen.starts) or None
    name = plain_name(activity if isinstance(activity, str) else None) or (seen and plain_name(seen.name)) or None
    return WantedClass(id=class_id, starts=starts, name=name)


def _hour_of(starts_at: datetime | None, time_zone: str | None) -> str | None:
    zone = time_zone or MOST_GYMS_ZONE
    return f"{starts_at.astimezone(ZoneInfo(zone)):%H:%M}" if starts_at is not None and is_zone(zone) else None
