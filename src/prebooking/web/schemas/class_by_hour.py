"""A class by its hour and name, beside its id or instead of it."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from prebooking.domain.opening_rules import on_the_wall_clock
from prebooking.domain.wished_class import WishedClass
from prebooking.web.schemas.body import RequestBody
from prebooking.web.schemas.fields import Text
from prebooking.web.schemas.opens import TimeOfDay, TimeZone


def _is_a_name(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty: leave it out, and any class of that hour is meant")
    return value


class HourAndName(RequestBody):
    """A class by its hour and name. Its id is taken from the gym's listing, even if the gym lists the class only at its
    opening, or creates it again under another id.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"starts": "18:00", "name": "CrossFit"}]})

    starts: Annotated[TimeOfDay, Field(description="The gym's local time at which the class starts.")]
    name: Annotated[
        Text | None,
        AfterValidator(lambda value: value if value is None else _is_a_name(value)),
        WithJsonSchema(
            {"anyOf": [{"type": "string", "maxLength": 200, "pattern": r"^[^\u0000]*\S[^\u0000]*$"}, {"type": "null"}]}
        ),
        Field(
            description="The name of the class in the gym's listing, compared without case, accents and double spaces."
            " Default: any class of that hour, if there is only one."
        ),
    ] = None


class ClassByHour(HourAndName):
    """A class by its hour and name, in the gym's time zone. Its id is taken from the gym's listing, even if the gym
    lists the class only at its opening, or creates it again under another id.
    """

    time_zone: Annotated[
        TimeZone | None,
        Field(
            description="The gym's IANA time zone. Default: that of `opens`, else that of the user's last prebooking at"
            " this gym, else Europe/Madrid."
        ),
    ] = None

    def starts_at(self, day: date, zone: str | None) -> datetime | None:
        """Returns when the class starts, in UTC. `zone`: that of the opening rule, if there is one."""
        told = self.time_zone or zone
        return on_the_wall_clock(day, self.starts, told) if told else None

    def as_wished(self) -> WishedClass:
        return WishedClass(starts=f"{self.starts:%H:%M}", name=self.name, time_zone=self.time_zone)
