"""What a user does with prebookings. Another's row looks like a missing one."""

import base64
import binascii
import json
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AfterValidator, BaseModel, BeforeValidator, StringConstraints, TypeAdapter, ValidationError
from pydantic import AwareDatetime as _Aware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prebooking.domain.ports import Page, Transition
from prebooking.domain.prebooking import Box, Prebooking, Status, is_box_label
from prebooking.web.parts import Parts, parts_of
from prebooking.web.problems import Problem, invalid, invalid_from
from prebooking.web.requests import read_json

_PAGE = 50
# Pydantic reads a bare number as seconds since 1970; RFC 3339 has the date and the time of day.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def _box_label(value: str) -> str:
    if not is_box_label(value):
        raise ValueError("is not a gym's sub-domain: write what stands before .aimharder.com, such as mygym")
    return value


def _day(value: str) -> str:
    try:
        year = 0 if not re.fullmatch(r"[0-9]{8}", value) else date(int(value[:4]), int(value[4:6]), int(value[6:])).year
    except ValueError:
        year = 0
    if not 2000 <= year <= 2100:  # noqa: PLR2004
        raise ValueError("is not a day: write it as YYYYMMDD")
    return value


def _instant(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError("write an instant with its offset, such as 2026-11-22T07:00:00Z")
    return value


def _known_year(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2100:  # noqa: PLR2004
        raise ValueError("lies too far away")
    return value.astimezone(UTC)  # Postgres knows no offset beyond 16 h


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character U+0000, which the database can't store")
    return value


_Id = Annotated[
    str,
    BeforeValidator(lambda v: str(v) if isinstance(v, int) and not isinstance(v, bool) else v),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$"),
]
_FamilyId = Annotated[_Id | None, BeforeValidator(lambda v: None if v == "" else v)]
_Instant = Annotated[_Aware, BeforeValidator(_instant), AfterValidator(_known_year)]
_Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_no_nul)]
_BoxLabel = Annotated[
    str,
    StringConstraints(to_lower=True),
    AfterValidator(_box_label),
]


class BookingData(BaseModel):
    """Which class, and for whom. Only day, id, familyId and insist go to the box."""

    day: Annotated[str, AfterValidator(_day)]
    id: _Id
    familyId: _FamilyId = None  # noqa: N815  # AimHarder's word
    insist: Literal[0, 1] = 0
    classTimeUTC: _Instant | None = None  # noqa: N815
    activityName: _Text | None = None  # noqa: N815
    boxName: _Text | None = None  # noqa: N815

    def as_row(self) -> dict[str, Any]:
        row = self.model_dump(mode="json", exclude_none=True)
        return row | {"familyId": self.familyId or ""}


class NewPrebooking(BaseModel):
    box_subdomain: _BoxLabel
    box_aimharder_id: _Id
    booking_data: BookingData
    available_at: _Instant


class NewOpening(BaseModel):
    available_at: _Instant


class Retry(BaseModel):
    available_at: _Instant | None = None


class Query(BaseModel):
    status: Status | None = None
    box_subdomain: _BoxLabel | None = None
    limit: int = _PAGE
    cursor: str | None = None


_ROW = TypeAdapter(Prebooking)


def as_json(row: Prebooking) -> dict[str, Any]:
    """The row as design and clients know it; AimHarder's ids are strings, also where an adopted row has numbers."""
    shown: dict[str, Any] = _ROW.dump_python(row, mode="json")
    data = shown["booking_data"]
    shown["booking_data"] = data | {n: str(data[n]) for n in ("id", "familyId") if isinstance(data.get(n), int)}
    return shown


async def create(request: Request) -> Response:
    parts, user = await _user(request)
    new = await read_json(request, NewPrebooking)
    box = Box(subdomain=new.box_subdomain, aimharder_id=new.box_aimharder_id)
    created = await parts.scheduler.create(uuid4(), user, box, new.booking_data.as_row(), new.available_at)
    return _answer(created, 201 if created.outcome == "created" else 200)


async def listing(request: Request) -> Response:
    parts, user = await _user(request)
    try:
        query = Query.model_validate(dict(request.query_params))
    except ValidationError as exc:
        raise invalid_from(exc) from exc
    if not 1 <= query.limit <= 100:  # noqa: PLR2004
        raise invalid("limit", "give a number from 1 to 100")
    rows = await parts.store.list(
        user,
        status=query.status,
        box_subdomain=query.box_subdomain,
        limit=query.limit + 1,
        before=_read_cursor(query.cursor) if query.cursor else None,
    )
    page, more = rows[: query.limit], len(rows) > query.limit
    cursor = _cursor(page[-1]) if more else None
    return JSONResponse({"prebookings": [as_json(row) for row in page], "next_cursor": cursor})


async def read(request: Request) -> Response:
    parts, user = await _user(request)
    rows = await parts.store.list(user, prebooking_id=_id(request))
    if not rows:
        raise _not_found()
    return JSONResponse(as_json(rows[0]))


async def reschedule(request: Request) -> Response:
    parts, user = await _user(request)
    new = await read_json(request, NewOpening)
    return _answer(await parts.scheduler.reschedule(_id(request), user, new.available_at))


async def cancel(request: Request) -> Response:
    parts, user = await _user(request)
    return _answer(await parts.scheduler.cancel(_id(request), user))


async def retry(request: Request) -> Response:
    parts, user = await _user(request)
    new = await read_json(request, Retry, optional=True)
    return _answer(await parts.scheduler.retry(_id(request), user, new.available_at))


ROUTES = [
    Route("/prebookings", create, methods=["POST"]),
    Route("/prebookings", listing, methods=["GET"]),
    Route("/prebookings/{id}", read, methods=["GET"]),
    Route("/prebookings/{id}", reschedule, methods=["PATCH"]),
    Route("/prebookings/{id}", cancel, methods=["DELETE"]),
    Route("/prebookings/{id}/retry", retry, methods=["POST"]),
]

_REFUSALS = {
    "exists": (
        "prebooking-exists",
        "You have a prebooking of this class already, with another opening: move that one.",
    ),
    "booking_in_progress": ("booking-in-progress", "It is being booked right now: wait for its result."),
    "already_finished": ("already-finished", "It has ended already."),
    "not_failed": ("not-failed", "Only a failed prebooking can be retried; this one is still waiting."),
}


def _answer(done: Transition, status: int = 200) -> Response:
    """The row as it is now, or the refusal in its HTTP form."""
    if done.outcome in _REFUSALS:
        code, detail = _REFUSALS[done.outcome]
        raise Problem(409, detail, code=code, prebooking_id=done.prebooking and str(done.prebooking.id))
    if done.outcome == "too_late":
        raise invalid("available_at", f"the class can be booked until {done.give_up_at}: nothing is left to wait for")
    if done.prebooking is None:
        raise _not_found()
    return JSONResponse(as_json(done.prebooking), status)


async def _user(request: Request) -> tuple[Parts, str]:
    parts = parts_of(request)
    return parts, await parts.users.email(request)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError as exc:
        raise _not_found() from exc


def _not_found() -> Problem:
    return Problem(404, "There is no such prebooking of yours.")


def _cursor(row: Prebooking) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.created_at.isoformat(), str(row.id)]).encode()).decode()


def _read_cursor(cursor: str) -> Page:
    try:
        created_at, row_id = json.loads(base64.urlsafe_b64decode(cursor))
        return Page(created_at=datetime.fromisoformat(created_at).astimezone(), id=UUID(row_id))
    except (OverflowError, ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as exc:
        raise invalid("cursor", "take it from next_cursor as it is") from exc
