"""Request schemas of series."""

from datetime import time
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict

from prebooking.domain.series import Series, WeeklyClass
from prebooking.usecases.series import Wanted
from prebooking.web.problems import invalid
from prebooking.web.schemas.body import RequestBody
from prebooking.web.schemas.class_by_hour import HourAndName
from prebooking.web.schemas.fields import BoxDomain, BoxLabel, BoxNumber, Day, FamilyId, Insist, TrueOrFalse
from prebooking.web.schemas.opens import ZonedRule

_MOST_SKIPPED = 400
_EXAMPLE: JsonDict = {
    "box_subdomain": "mygym",
    "box_aimharder_id": 7,
    "weekdays": [1, 3, 5],
    "class": {"starts": "07:00", "name": "CrossFit"},
    "opens": {"days_before": 4, "time_zone": "Europe/Madrid"},
}


def _weekday(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in range(1, 8):
        raise ValueError("must be a number from 1 (Monday) to 7 (Sunday)")
    return int(value)


def _weekdays(value: list[int]) -> list[int]:
    if not value:
        raise ValueError("must name a weekday at least, such as [1] for Monday")
    return sorted(set(value))


def _skip(value: list[str]) -> list[str]:
    if len(value) > _MOST_SKIPPED:
        raise ValueError(f"must have at most {_MOST_SKIPPED} days")
    return sorted(set(value))


Weekday = Annotated[int, BeforeValidator(_weekday), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 7})]
Weekdays = Annotated[
    list[Weekday],
    AfterValidator(_weekdays),
    Field(description="1 is Monday, 7 is Sunday.", json_schema_extra={"minItems": 1}),
]
FirstDay = Annotated[Day | None, Field(description="The first day, as YYYYMMDD. Default: today.")]
LastDay = Annotated[Day | None, Field(description="The last day, as YYYYMMDD. Default: no end.")]
BoxOfUser = Annotated[BoxDomain | None, Field(description="The gym's domain. Default: as for a prebooking.")]


class NewSeries(RequestBody):
    """A class to book every week, at the instant at which each of its days opens for booking."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    box_subdomain: Annotated[BoxLabel, Field(description="The gym's sub-domain of `box_domain`.")]
    box_aimharder_id: Annotated[BoxNumber, Field(description="The gym's number at AimHarder.")]
    box_domain: BoxOfUser = None
    weekdays: Weekdays
    class_: Annotated[HourAndName, Field(alias="class")]
    family_id: Annotated[FamilyId, Field(description="As `familyId` of a prebooking.")] = None
    insist: Insist = 0
    opens: Annotated[ZonedRule, Field(description="The gym's opening rule.")]
    first_day: FirstDay = None
    last_day: LastDay = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self.check()
        return self

    def check(self) -> None:
        """Raises Problem, which names a field; pydantic would name the whole."""
        opens_at: time = self.opens.at or self.class_.starts
        if self.opens.hours_before == 0 or (self.opens.days_before == 0 and opens_at >= self.class_.starts):
            raise invalid("opens", "must be before the class starts: nothing could be booked")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise invalid("last_day", f"must not be before first_day {self.first_day}")

    def as_weekly(self) -> WeeklyClass:
        return WeeklyClass(
            box_subdomain=self.box_subdomain,
            box_aimharder_id=self.box_aimharder_id,
            box_domain=self.box_domain,
            weekdays=tuple(self.weekdays),
            starts=f"{self.class_.starts:%H:%M}",
            name=self.class_.name,
            family_id=self.family_id or "",
            insist=self.insist,
            days_before=self.opens.days_before,
            hours_before=self.opens.hours_before,
            at=f"{self.opens.at:%H:%M}" if self.opens.at else None,
            time_zone=self.opens.time_zone,
            first_day=self.first_day,
            last_day=self.last_day,
        )


_UNSET: Any = Field(
    default_factory=lambda: None
)  # no null, and no default in the contract: fields that are not sent stay


class SeriesChange(RequestBody):
    """Changes to a series. Missing fields stay as they are; `class`, `opens` and `skip` are replaced as a whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"skip": ["20301224", "20301225"]}, {"paused": True}, {"weekdays": [2, 4]}]}
    )

    box_subdomain: BoxLabel = _UNSET
    box_aimharder_id: BoxNumber = _UNSET
    box_domain: BoxOfUser = _UNSET
    weekdays: Weekdays = _UNSET
    class_: Annotated[HourAndName, Field(alias="class")] = _UNSET
    family_id: FamilyId = _UNSET
    insist: Insist = _UNSET
    opens: ZonedRule = _UNSET
    first_day: FirstDay = _UNSET
    last_day: LastDay = _UNSET
    paused: Annotated[StrictBool, Field(description="true: nothing is booked until the series is resumed.")] = _UNSET
    skip: Annotated[
        list[Day],
        AfterValidator(_skip),
        Field(description="All days to skip, as YYYYMMDD.", json_schema_extra={"maxItems": _MOST_SKIPPED}),
    ] = _UNSET

    def applied_to(self, series: Series) -> Wanted:
        """Raises Problem."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        paused, skip = sent.pop("paused", series.paused), tuple(sent.pop("skip", series.skip))
        changed = NewSeries.model_validate(as_request(series.weekly)).model_copy(update=sent)
        changed.check()
        return Wanted(weekly=changed.as_weekly(), paused=paused, skip=skip)


class SeriesQuery(BaseModel):
    """How pending prebookings are handled."""

    keep: Annotated[
        TrueOrFalse,
        Field(description="true: the pending prebookings stay, as ordinary ones; otherwise they are cancelled."),
    ] = False


def as_request(weekly: WeeklyClass) -> dict[str, Any]:
    """Returns it as a request may send it."""
    rule = {"days_before": weekly.days_before, "hours_before": weekly.hours_before, "at": weekly.at}
    opens = {name: value for name, value in rule.items() if value is not None}
    return {
        "box_subdomain": weekly.box_subdomain,
        "box_aimharder_id": weekly.box_aimharder_id,
        "box_domain": weekly.box_domain,
        "weekdays": list(weekly.weekdays),
        "class": {"starts": weekly.starts} | ({"name": weekly.name} if weekly.name is not None else {}),
        "family_id": weekly.family_id or None,
        "insist": weekly.insist,
        "opens": opens | {"time_zone": weekly.time_zone},
        "first_day": weekly.first_day,
        "last_day": weekly.last_day,
    }
