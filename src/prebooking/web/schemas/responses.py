"""Response schemas, from which /openapi.json is generated. The tests validate every response against them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NotRequired
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from prebooking.domain.cookies import Domain
from prebooking.domain.outcome import Outcome
from prebooking.domain.prebooking import Prebooking as _Prebooking
from prebooking.domain.wished_class import WishedClass

_OPEN = ConfigDict(extra="allow")  # rows that the web application wrote have other fields, and may lack some of these


class Booking(TypedDict, total=False):
    """The class to book and the family member to book it for, as requested. AimHarder's ids are strings."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]  # pydantic's own way to configure a TypedDict

    day: str
    id: str
    familyId: str
    insist: int
    classTimeUTC: str
    activityName: str
    boxName: str


class Shot(TypedDict):
    """One booking request that was sent. `left_out`: the number of earlier requests that are not listed."""

    fired_at: datetime
    answered_at: datetime | None
    outcome: str
    left_out: NotRequired[int]


class Timings(TypedDict):
    """Timestamps of the last execution. A field is null if the execution ended before that step, or there was none.

    `fire_lateness_ms`: time from the opening until the first booking request was sent.
    """

    delivered_at: datetime | None
    claimed_at: datetime | None
    ready_at: datetime | None
    fired_at: datetime | None
    fire_lateness_ms: float | None
    answered_at: datetime | None
    response_ms: float | None
    clock_offset_ms: float | None
    shots: list[Shot]


class Warned(TypedDict):
    """A problem that the user should solve before the opening. `message` is text for the user."""

    code: Literal["session_expired", "box_not_yours"]
    reason: NotRequired[Literal["password_refused"]]  #: why the automatic sign-in failed
    message: str
    since: datetime


class Result(TypedDict, total=False):
    """The result of the booking. `message` is text for the user. `class_minutes`: the length of the class, if known.
    `class_id`: the class that was booked, if it is not `booking_data.id`.

    `given_back_at`: when the place was given back.
    """

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    success: bool
    outcome: Outcome
    bookingId: str | int | None
    bookState: int | None
    message: str
    class_minutes: int
    class_id: str
    given_back_at: datetime
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prebooking(_Prebooking):
    """A prebooking. Its final status is completed, failed (with the reason in `error_code`) or cancelled."""

    box_domain: SkipJsonSchema[Domain | None] = None
    booking_data: Booking
    # Always present in a response, so without a default here.
    class_: WishedClass | None
    series_id: UUID | None
    qstash_schedule_id: str | None
    warning: Warned | None
    result: Result | None
    error_code: Outcome | None
    error_message: str | None
    executed_at: datetime | None


class PrebookingPage(BaseModel):
    """A page of prebookings, newest first. `next_cursor` requests the next page; null: this is the last page."""

    prebookings: list[Prebooking]
    next_cursor: str | None


class HistoryEvent(TypedDict):
    """A change of a prebooking.

    `reason`: the outcome of `finished`, `released` and `parked`; `present` or `absent` (at the gym) of `settled`; the
    new opening of `rescheduled`; the HTTP status of `delivery_failed`. `replica`: identifies the process that did it.
    `took_ms`: time since the claim. New releases may add events.
    """

    at: datetime
    event: str
    attempt: NotRequired[int]
    replica: NotRequired[str]
    reason: NotRequired[str]
    message_id: NotRequired[str]
    took_ms: NotRequired[float]


class History(BaseModel):
    """The history of a prebooking, oldest first."""

    events: list[HistoryEvent]


class Delivered(BaseModel):
    """The result of a delivery."""

    outcome: str
    prebooking_id: str


class Noted(BaseModel):
    """Whether the delivery changed anything."""

    outcome: Literal["noted", "nothing_to_note"]


class Found(BaseModel):
    """How many prebookings were due for execution, had to be settled, or had no message."""

    execute: int
    settle: int
    publish: int


class Swept(BaseModel):
    """The result of a sweep."""

    outcome: Literal["swept"]
    found: Found


class Health(BaseModel):
    """`alive`: the process responds. `ready`: the database responds, too."""

    status: Literal["alive", "ready"]


class FieldError(BaseModel):
    """An invalid field, and how to correct it."""

    field: str
    message: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457). `code` is for programs, `detail` is for people, `request_id` identifies it in the log."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError] | SkipJsonSchema[None] = None
    prebooking_id: str | SkipJsonSchema[None] = None
