"""An opening told by the box's rule instead of as an instant: read strictly, as the rest of a wish."""

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from prebooking.domain.opening_rules import LONGEST_DAYS, LONGEST_HOURS, OpeningRule, is_zone, on_the_wall_clock
from prebooking.web.problems import invalid

_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_EXAMPLE = "such as Europe/Madrid"


def _zone(value: str) -> str:
    if not is_zone(value):
        raise ValueError(f"is not a time zone: write its name in the IANA database, {_EXAMPLE}")
    return value


def _time(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(_TIME, value):
        raise ValueError("write a time of day as HH:MM, from 00:00 to 23:59")
    return time(int(value[:2]), int(value[3:]))


def _whole(value: Any) -> Any:
    """As a number, or as a query has numbers."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError("must be a whole number")
    return value


def _days(value: int) -> int:
    return _at_most(value, LONGEST_DAYS)


def _hours(value: int) -> int:
    return _at_most(value, LONGEST_HOURS)


def _at_most(value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise ValueError(f"give a number from 0 to {most}")
    return value


TimeOfDay = Annotated[time, BeforeValidator(_time), WithJsonSchema({"type": "string", "pattern": _TIME})]
TimeZone = Annotated[str, AfterValidator(_zone)]
Days = Annotated[
    int,
    BeforeValidator(_whole),
    AfterValidator(_days),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LONGEST_DAYS}),
]
Hours = Annotated[
    int,
    BeforeValidator(_whole),
    AfterValidator(_hours),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LONGEST_HOURS}),
]


def _with_days(value: time | None, info: ValidationInfo) -> time | None:
    if value is not None and info.data.get("days_before", 0) is None:
        raise ValueError("goes with days_before: say how many days before the class")
    return value


def _without_days(value: int | None, info: ValidationInfo) -> int | None:
    if value is not None and info.data.get("days_before") is not None:
        raise ValueError("give days_before or hours_before, not both")
    return value


class Rule(BaseModel):
    """How a box opens its classes: so many days before, at the class's time or at another; or so many hours before."""

    days_before: Annotated[Days | None, Field(description="Counted on the box's own calendar and wall clock.")] = None
    at: Annotated[
        TimeOfDay | None,
        AfterValidator(_with_days),
        Field(description="With days_before: the time of that day; else the class's own."),
    ] = None
    hours_before: Annotated[
        Hours | None, AfterValidator(_without_days), Field(description="Hours that pass until the class starts.")
    ] = None


class Opens(Rule):
    """The box's rule, and what it starts from: the class's day is the booking's, its start is here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"days_before": 4, "starts": "08:00", "time_zone": "Europe/Madrid"}],
            "oneOf": [{"required": ["days_before"]}, {"required": ["hours_before"]}],
        }
    )

    time_zone: Annotated[TimeZone, Field(description=f"The box's, by its IANA name, {_EXAMPLE}.")]
    starts: Annotated[
        TimeOfDay | None,
        Field(description="When the class starts, on the box's wall clock; else booking_data.classTimeUTC tells it."),
    ] = None

    @model_validator(mode="after")
    def _is_any(self) -> Self:
        if self.days_before is None and self.hours_before is None:
            raise ValueError("say when the box opens its classes: days_before (perhaps with at), or hours_before")
        return self

    @property
    def rule(self) -> OpeningRule:
        return OpeningRule(
            zone=self.time_zone, days_before=self.days_before, at=self.at, hours_before=self.hours_before
        )

    def starts_at(self, day: date) -> datetime | None:
        """The class's start in UTC, where it is told here."""
        return None if self.starts is None else on_the_wall_clock(day, self.starts, self.time_zone)

    def opens_at(self, day: date, class_time: datetime | None) -> datetime:
        """In UTC. `class_time`: the class's start as an instant, where it is known. Raises Problem."""
        starts = self.starts
        if class_time is not None:
            local = class_time.astimezone(ZoneInfo(self.time_zone))
            told = f"is {local:%Y-%m-%d %H:%M} in {self.time_zone}"
            if local.date() != day:
                raise invalid("booking_data.classTimeUTC", f"{told}, which is not on the class's day {day:%Y%m%d}")
            if starts is not None and starts != local.time().replace(second=0, microsecond=0, fold=0):
                raise invalid("opens.starts", f"booking_data.classTimeUTC {told}: correct one, or leave one out")
            if self.hours_before is not None:
                return class_time - timedelta(hours=self.hours_before)
            starts = local.time()
        if starts is None and self.rule.needs_start:
            raise invalid(
                "opens.starts",
                "say when the class starts, as HH:MM on the box's wall clock (or booking_data.classTimeUTC)",
            )
        return self.rule.opens_at(day, starts)
