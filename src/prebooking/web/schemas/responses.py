"""What the routes give, as /openapi.json tells it. The tests hold each answer that they get against it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NotRequired

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from prebooking.domain.outcome import Outcome
from prebooking.domain.prebooking import Prebooking as _Prebooking

_OPEN = ConfigDict(extra="allow")  # rows that the web application wrote hold more, and not all of this


class Booking(TypedDict, total=False):
    """Which class, and for whom, as it was asked for. AimHarder's ids are strings here."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]  # pydantic's own way to configure a TypedDict

    day: str
    id: str
    familyId: str
    insist: int
    classTimeUTC: str
    activityName: str
    boxName: str


class Shot(TypedDict):
    """One booking request that left. `left_out`: so many before it are not kept."""

    fired_at: datetime
    answered_at: datetime | None
    outcome: str
    left_out: NotRequired[int]


class Timings(TypedDict):
    """The instants of the last execution; null: it did not come so far, or there was none.

    `fire_lateness_ms`: the first shot's, after the opening.
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
    """What its user had better do before the opening. `message` is for them."""

    code: Literal["session_expired", "box_not_yours"]
    reason: NotRequired[Literal["password_refused"]]  #: why it was not signed in again
    message: str
    since: datetime


class Result(TypedDict, total=False):
    """What became of it. `message` is for the member."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    success: bool
    outcome: Outcome
    bookingId: str | int | None
    bookState: int | None
    message: str
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prebooking(_Prebooking):
    """A prebooking. It ends completed, failed with the reason as `error_code`, or cancelled."""

    booking_data: Booking
    # Always there, so without a default here.
    qstash_schedule_id: str | None
    warning: Warned | None
    result: Result | None
    error_code: Outcome | None
    error_message: str | None
    executed_at: datetime | None


class PrebookingPage(BaseModel):
    """The newest first. `next_cursor` asks for what comes after; null: this was all."""

    prebookings: list[Prebooking]
    next_cursor: str | None


class Delivered(BaseModel):
    """What became of a delivery."""

    outcome: str
    prebooking_id: str


class Noted(BaseModel):
    """What became of a notice's failure."""

    outcome: Literal["noted", "nothing_to_note"]


class Found(BaseModel):
    """How many prebookings there were to execute, to settle, to order a message for."""

    execute: int
    settle: int
    publish: int


class Swept(BaseModel):
    """One sweep."""

    outcome: Literal["swept"]
    found: Found


class Health(BaseModel):
    """`alive`: the process answers. `ready`: its database, too."""

    status: Literal["alive", "ready"]


class FieldError(BaseModel):
    """A wrong field, and what would be right."""

    field: str
    message: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457). `code` is for programs, `detail` for people, `request_id` to ask us about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError] | SkipJsonSchema[None] = None
    prebooking_id: str | SkipJsonSchema[None] = None
