"""What a user may ask for, read strictly; the contract in /openapi.json is generated from the same types."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from prebooking.domain.cookies import Domain
from prebooking.domain.prebooking import Status, box_label
from prebooking.web.schemas.instants import Instant
from prebooking.web.schemas.opens import Opens

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_ID = r"[A-Za-z0-9_.:-]"
_LARGEST_ID = 2**63 - 1
_LARGEST_BOX = 10**18 - 1
_LARGEST_PAGE = 100
# Every valid day from 2000 to 2100, for clients that validate before they send.
_DAY = (
    r"^((20[0-9]{2}|2100)((0[13578]|1[02])(0[1-9]|[12][0-9]|3[01])|(0[469]|11)(0[1-9]|[12][0-9]|30)"
    r"|02(0[1-9]|1[0-9]|2[0-8]))|20([02468][048]|[13579][26])0229)$"
)


def _day(value: str) -> str:
    try:
        year = 0 if not re.fullmatch(r"[0-9]{8}", value) else date(int(value[:4]), int(value[4:6]), int(value[6:])).year
    except ValueError:
        year = 0
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError("is not a day: write it as YYYYMMDD, such as 20301128")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character U+0000, which the database can't store")
    return value


def _number_or_text(value: Any) -> Any:
    # In JSON Schema 5.0 is an integer, too.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_ID:
        return str(value)
    return value


def _box_number(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise ValueError("must be the gym's number, which AimHarder's own page calls boid or box")
    return value


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # Python takes it for 0 or 1
        raise ValueError("must be 0 or 1")  # noqa: TRY004  # pydantic's way to refuse
    return value


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


_NUMBER = {"type": "integer", "minimum": 0, "maximum": _LARGEST_ID}
Id = Annotated[
    str,
    BeforeValidator(_number_or_text),
    StringConstraints(min_length=1, max_length=64, pattern=rf"^{_ID}+$"),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": rf"^{_ID}{{1,64}}$"}, _NUMBER]}),
]
BoxNumber = Annotated[
    str,
    BeforeValidator(_number_or_text),
    AfterValidator(_box_number),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{1,18}$"},
                {"type": "integer", "minimum": 0, "maximum": _LARGEST_BOX},
            ]
        }
    ),
]
_FamilyId = Annotated[
    Id | None,
    BeforeValidator(lambda v: None if v == "" else v),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": rf"^{_ID}{{0,64}}$"}, _NUMBER, {"type": "null"}]}),
]
_Text = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(_no_nul),
    WithJsonSchema({"type": "string", "maxLength": 200, "pattern": r"^[^\u0000]*$"}),
]
BoxLabel = Annotated[
    str,
    StringConstraints(to_lower=True),
    AfterValidator(box_label),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"}),
]


def _box_domain(value: Any) -> Any:
    if value not in tuple(Domain):
        raise ValueError("must be aimharder.com or aimharder.es")
    return value


BoxDomain = Annotated[Domain, BeforeValidator(_box_domain)]
Day = Annotated[
    str,
    AfterValidator(_day),
    WithJsonSchema({"type": "string", "pattern": _DAY}),
    Field(description="The day of the class as YYYYMMDD, in the gym's time zone."),
]


class BookingData(BaseModel):
    """The class to book and the family member to book it for. Only day, id, familyId and insist are sent to the gym."""

    day: Day
    id: Annotated[Id, Field(description="AimHarder's id of the class, as in its listing.")]
    familyId: Annotated[  # noqa: N815  # AimHarder's word
        _FamilyId,
        Field(description="AimHarder's id of the family member to book for; empty for the member themselves."),
    ] = None
    insist: Annotated[
        Literal[0, 1],
        BeforeValidator(_no_boolean),
        Field(description="1: join the waiting list when the class is full."),
    ] = 0
    classTimeUTC: Annotated[  # noqa: N815
        Instant | None, Field(description="When the class starts. No booking is attempted after that.")
    ] = None
    activityName: _Text | None = None  # noqa: N815
    boxName: _Text | None = None  # noqa: N815

    def as_row(self) -> dict[str, Any]:
        row = self.model_dump(mode="json", exclude_none=True)
        return row | {"familyId": self.familyId or ""}


class NewPrebooking(BaseModel):
    """A class to book at the instant at which it opens for booking. Send either `available_at` or `opens`."""

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
            ],
            "oneOf": [{"required": ["available_at"]}, {"required": ["opens"]}],
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
    opens: Annotated[Opens | None, Field(description="The gym's opening rule, instead of `available_at`.")] = None
    available_at: Annotated[
        Instant | None,
        AfterValidator(_one_opening),
        Field(
            description="When the class opens for booking. If it is in the past, the class is booked at once.",
            validate_default=True,
        ),
    ] = None

    @property
    def opening(self) -> datetime:
        """Returns the instant of the opening, as given or by the rule. Raises Problem."""
        if self.opens is None:
            assert self.available_at is not None
            return self.available_at
        return self.opens.opens_at(self._date, self.booking_data.classTimeUTC)

    @property
    def starts_at(self) -> datetime | None:
        """Returns when the class starts, if the request says so."""
        return self.booking_data.classTimeUTC or (self.opens.starts_at(self._date) if self.opens else None)

    @property
    def _date(self) -> date:
        day = self.booking_data.day
        return date(int(day[:4]), int(day[4:6]), int(day[6:]))


class NewOpening(BaseModel):
    """A new opening for a pending prebooking."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"available_at": "2030-11-24T07:30:00Z"}]})

    available_at: Instant


class Retry(BaseModel):
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
