"""The opening as the gym's rule instead of as an instant."""

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from prebooking.domain.opening_rules import LONGEST_DAYS, LONGEST_HOURS, OpeningRule, is_zone, on_the_wall_clock
from prebooking.web.problems import invalid
from prebooking.web.schemas.body import RequestBody

_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_EXAMPLE = "such as Europe/Madrid"


def _zone(value: str) -> str:
    if not is_zone(value):
        raise ValueError(f"must be an IANA time zone, {_EXAMPLE}")
    return value


def _time(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(_TIME, value):
        raise ValueError("must be a time of day as HH:MM, from 00:00 to 23:59")
    return time(int(value[:2]), int(value[3:]))


def _whole(value: Any) -> Any:
    """Accepts a number, and the text of one, which a query has."""
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
        raise ValueError(f"must be a number from 0 to {most}")
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
        raise ValueError("needs days_before: send how many days before the class it opens")
    return value


def _without_days(value: int | None, info: ValidationInfo) -> int | None:
    if value is not None and info.data.get("days_before") is not None:
        raise ValueError("send days_before or hours_before, not both")
    return value


class Rule(RequestBody):
    """The rule by which a gym opens its classes: a number of days before the class, at its time or at `at`, or a
    number of hours before the class.
    """

    days_before: Annotated[
        Days | None, Field(description="Days before the class, counted in the gym's local calendar.")
    ] = None
    at: Annotated[
        TimeOfDay | None,
        AfterValidator(_with_days),
        Field(description="With `days_before`: the local time of day of the opening. Default: the time of the class."),
    ] = None
    hours_before: Annotated[
        Hours | None,
        AfterValidator(_without_days),
        Field(description="Hours before the class starts, as elapsed time."),
    ] = None


class ZonedRule(Rule):
    """A gym's opening rule and time zone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"days_before": 4, "time_zone": "Europe/Madrid"}],
            "oneOf": [{"required": ["days_before"]}, {"required": ["hours_before"]}],
        }
    )

    time_zone: Annotated[TimeZone, Field(description=f"The gym's IANA time zone, {_EXAMPLE}.")]

    @model_validator(mode="after")
    def _is_any(self) -> Self:
        if self.days_before is None and self.hours_before is None:
            raise ValueError("needs days_before (optionally with at) or hours_before: when the gym opens its classes")
        return self

    @property
    def rule(self) -> OpeningRule:
        return OpeningRule(
            zone=self.time_zone, days_before=self.days_before, at=self.at, hours_before=self.hours_before
        )


class Opens(ZonedRule):
    """A gym's opening rule, and the time and time zone of the class that it applies to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"days_before": 4, "starts": "08:00", "time_zone": "Europe/Madrid"}],
            "oneOf": [{"required": ["days_before"]}, {"required": ["hours_before"]}],
        }
    )

    starts: Annotated[
        TimeOfDay | None,
        Field(
            description="The local time at which the class starts. Default: taken from `booking_data.classTimeUTC` or"
            " `class`."
        ),
    ] = None

    def starts_at(self, day: date) -> datetime | None:
        """Returns when the class starts, in UTC, if `starts` is given."""
        return None if self.starts is None else on_the_wall_clock(day, self.starts, self.time_zone)

    def opens_at(self, day: date, class_time: datetime | None, told_by: str = "booking_data.classTimeUTC") -> datetime:
        """Returns the opening in UTC. `class_time`: the start of the class, if it is known; `told_by`: by which field.

        Raises Problem.
        """
        starts = self.starts
        if class_time is not None:
            local = class_time.astimezone(ZoneInfo(self.time_zone))
            local_start = f"is {local:%Y-%m-%d %H:%M} in {self.time_zone}"
            if local.date() != day:
                raise invalid(
                    told_by,
                    f"{local_start}, which is not on booking_data.day {day:%Y%m%d}: correct one of them",
                )
            if starts is not None and starts != local.time().replace(second=0, microsecond=0, fold=0):
                raise invalid("opens.starts", f"{told_by} {local_start}: correct one, or leave one out")
            if self.hours_before is not None:
                return class_time - timedelta(hours=self.hours_before)
            starts = local.time()
        if starts is None and self.rule.needs_start:
            raise invalid(
                "opens.starts",
                "is missing: send the local time at which the class starts as HH:MM, or booking_data.classTimeUTC",
            )
        return self.rule.opens_at(day, starts)
