"""Response schemas of series."""

from datetime import datetime
from typing import Annotated, Any, NotRequired
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from prebooking.domain.days import written
from prebooking.domain.series import Series
from prebooking.domain.series_days import SeriesDay as ClassDay
from prebooking.domain.series_days import days_to_show
from prebooking.web.schemas.series import as_request


class SeriesDay(TypedDict):
    """A day of the series. `reason`: why it has no prebooking although one is due, such as `too-many`."""

    day: str
    opens_at: datetime
    prebooking_id: UUID | None
    skipped: bool
    reason: str | None


class SeriesClass(TypedDict):
    """The class by its hour and name. Without a name: any class of that hour."""

    starts: str
    name: NotRequired[str]


class SeriesOpens(TypedDict):
    """The gym's opening rule."""

    days_before: NotRequired[int]
    hours_before: NotRequired[int]
    at: NotRequired[str]
    time_zone: str


class SeriesAsJson(BaseModel):
    """A class that is booked every week. `next`: its days in the next four weeks whose class has not begun."""

    model_config = ConfigDict(title="Series")

    id: UUID
    user_email: str
    box_subdomain: str
    box_aimharder_id: str
    box_domain: str | None
    weekdays: list[int]
    class_: Annotated[SeriesClass, Field(alias="class")]
    family_id: str | None
    insist: int
    opens: SeriesOpens
    first_day: str | None
    last_day: str | None
    paused: bool
    skip: list[str]
    next: list[SeriesDay]
    created_at: datetime
    updated_at: datetime


class SeriesList(BaseModel):
    """All series of the user, the oldest first."""

    series: list[SeriesAsJson]


def as_json(series: Series) -> dict[str, Any]:
    """Returns the series as clients see it."""
    taken = {one.day: one.prebooking_id for one in series.taken}
    return as_request(series.weekly) | {
        "id": str(series.id),
        "user_email": series.user_email,
        "paused": series.paused,
        "skip": list(series.skip),
        "next": [_day(series, one, taken.get(written(one.day))) for one in days_to_show(series, series.now)],
        "created_at": _rfc3339(series.created_at),
        "updated_at": _rfc3339(series.updated_at),
    }


def _day(series: Series, one: ClassDay, prebooking_id: UUID | None) -> dict[str, Any]:
    day = written(one.day)
    return {
        "day": day,
        "opens_at": _rfc3339(one.opens_at),
        "prebooking_id": prebooking_id and str(prebooking_id),
        "skipped": day in series.skip,
        "reason": None if prebooking_id else series.reasons.get(day),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
