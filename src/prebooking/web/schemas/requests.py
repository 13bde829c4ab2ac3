"""Request schemas of prebookings, validated strictly. /openapi.json is generated from them."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from prebooking.domain.days import read_day
from prebooking.domain.prebooking import Status
from prebooking.web.problems import invalid
from prebooking.web.schemas.body import RequestBody
from prebooking.web.schemas.class_by_hour import ClassByHour
from prebooking.web.schemas.fields import BoxDomain, BoxLabel, BoxNumber, Day, FamilyId, Id, Insist, Text
from prebooking.web.schemas.instants import Instant
from prebooking.web.schemas.opens import Opens

_LARGEST_PAGE = 100


def _page_size(value: int) -> int:
    if not 1 <= value <= _LARGEST_PAGE:
        raise ValueError(f"must be a number from 1 to {_LARGEST_PAGE}")
    return value


def _one_opening(value: datetime | None, info: ValidationInfo) -> datetime | None:
    if value is None and "opens" in info.data and info.data["opens"] is None:
        raise ValueError(
            "is missing: send the instant at which the class opens for booking, or the gym's rule as `opens`"
        )
    if value is not None and info.data.get("opens") is not None:
        raise ValueError("send available_at or opens, not both")
    return value


class BookingData(RequestBody):
    """The class to book and the family member to book it for. Only day, id, familyId and insist are sent to the gym."""

    day: Day
    id: Annotated[
        Id | None, Field(description="AimHarder's id of the class, as in its listing. Optional with `class`.")
    ] = None
    familyId: Annotated[  # noqa: N815  # AimHarder's word
        FamilyId,
        Field(description="AimHarder's id of the family member to book for; empty for the member themselves."),
    ] = None
    insist: Insist = 0
    classTimeUTC: Annotated[  # noqa: N815
        Instant | None, Field(description="When the class starts. No booking is attempted after that.")
    ] = None
    activityName: Text | None = None  # noqa: N815
    boxName: Text | None = None  # noqa: N815

    def as_row(self) -> dict[str, Any]:
        row = self.model_dump(mode="json", exclude_none=True)
        return row | {"familyId": self.familyId or ""}


class NewPrebooking(RequestBody):
    """A class to book at the instant at which it opens for booking. Send either `available_at` or `opens`, and
    `booking_data.id`, `class` or both.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "box_subdomain": "mygym",
                    "box_aimharder_id": 7,
                    "booking_data": {"day": "20301128", "id": 501, "familyId": "", "insist": 0},
                    "available_at": "2030-11-24T07:00:00Z",
                },
                {
                    "box_subdomain": "mygym",
                    "box_aimharder_id": 7,
                    "booking_data": {"day": "20301128", "id": 502},
                    "opens": {"days_before": 4, "starts": "08:00", "time_zone": "Europe/Madrid"},
                },
                {
                    "box_subdomain": "mygym",
                    "box_aimharder_id": 7,
                    "booking_data": {"day": "20301128"},
                    "class": {"starts": "18:00", "name": "CrossFit"},
                    "opens": {"days_before": 4, "time_zone": "Europe/Madrid"},
                },
            ],
            "oneOf": [{"required": ["available_at"]}, {"required": ["opens"]}],
            "anyOf": [
                {"required": ["class"], "properties": {"class": {"type": "object"}}},
                {"properties": {"booking_data": {"required": ["id"], "properties": {"id": {"not": {"type": "null"}}}}}},
            ],
        }
    )

    box_subdomain: Annotated[BoxLabel, Field(description="The gym's sub-domain of `box_domain`.")]
    box_aimharder_id: Annotated[BoxNumber, Field(description="The gym's number at AimHarder.")]
    box_domain: Annotated[
        BoxDomain | None,
        Field(
            description="The gym's domain, as `GET /boxes` returns it. Without it: as AimHarder named it for the user's"
            " session, else aimharder.com."
        ),
    ] = None
    booking_data: BookingData
    class_: Annotated[
        ClassByHour | None,
        Field(alias="class", description="The class by its hour and name, beside `booking_data.id` or instead of it."),
    ] = None
    opens: Annotated[Opens | None, Field(description="The gym's opening rule, instead of `available_at`.")] = None
    available_at: Annotated[
        Instant | None,
        AfterValidator(_one_opening),
        Field(
            description="When the class opens for booking. If it is in the past, the class is booked at once.",
            validate_default=True,
        ),
    ] = None

    @model_validator(mode="after")
    def _names_a_class(self) -> Self:
        """Raises Problem, which names a field; pydantic would name the whole."""
        if self.booking_data.id is None and self.class_ is None:
            raise invalid("booking_data.id", "is missing: send the id of the class, or its hour and name as `class`")
        start, zone = self.booking_data.classTimeUTC, self.time_zone
        if self.class_ and start and zone:
            local = start.astimezone(ZoneInfo(zone))
            if (local.date(), local.time().replace(fold=0)) != (self._date, self.class_.starts):
                told = f"booking_data.classTimeUTC is {local:%Y-%m-%d %H:%M} in {zone}"
                raise invalid("class.starts", f"{told}: correct one, or leave classTimeUTC out")
        return self

    @property
    def opening(self) -> datetime:
        """Returns the instant of the opening, as given or by the rule. Raises Problem."""
        if self.opens is None:
            assert self.available_at is not None
            return self.available_at
        told_by = "booking_data.classTimeUTC" if self.booking_data.classTimeUTC else "class.starts"
        return self.opens.opens_at(self._date, self._told_start, told_by)

    @property
    def starts_at(self) -> datetime | None:
        """Returns when the class starts, if the request says so."""
        return self._told_start or (self.opens.starts_at(self._date) if self.opens else None)

    @property
    def time_zone(self) -> str | None:
        """Returns the gym's time zone, if the request says it."""
        return (self.class_ and self.class_.time_zone) or (self.opens.time_zone if self.opens else None)

    @property
    def _told_start(self) -> datetime | None:
        by_hour = self.class_.starts_at(self._date, self.time_zone) if self.class_ else None
        return self.booking_data.classTimeUTC or by_hour

    @property
    def _date(self) -> date:
        return read_day(self.booking_data.day)


class NewOpening(RequestBody):
    """A new opening for a pending prebooking."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"available_at": "2030-11-24T07:30:00Z"}]})

    available_at: Instant


class Retry(RequestBody):
    """When to retry a failed prebooking. Without `available_at` it is retried at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"available_at": "2030-11-24T07:30:00Z"}]})

    available_at: Instant | None = None


class Query(BaseModel):
    """Filters and pagination of the list."""

    status: Annotated[Status | None, Field(description="Return only prebookings with this status.")] = None
    box_subdomain: Annotated[BoxLabel | None, Field(description="Return only prebookings of this gym.")] = None
    limit: Annotated[
        int,
        AfterValidator(_page_size),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _LARGEST_PAGE}),
        Field(description="The maximum number of prebookings in the response."),
    ] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the previous page.")] = None
