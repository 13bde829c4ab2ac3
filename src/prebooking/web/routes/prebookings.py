"""What a user does with prebookings. Another's row looks like a missing one."""

import base64
import binascii
import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.ports import Page, Transition
from prebooking.domain.prebooking import Box, Prebooking
from prebooking.web.idempotency import Idempotency, name_of
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, invalid_from, too_often
from prebooking.web.requests import read_json
from prebooking.web.schemas import responses
from prebooking.web.schemas.requests import NewOpening, NewPrebooking, Query, Retry
from prebooking.web.services import Services, parts_of

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
    name = name_of(request, user)
    created = await parts.scheduler.create(
        name.id,
        user,
        box,
        new.booking_data.as_row(),
        new.opening,
        starts_at=new.starts_at,
        time_zone=new.opens.time_zone if new.opens else None,
        key=name.key,
    )
    if created.prebooking and not created.prebooking.warning and parts.timetables.lacks(user, box.subdomain):
        created = replace(created, prebooking=_warned(created.prebooking, box))
    return _answer(
        created, 201 if created.outcome == "created" else 200, opening="opens" if new.opens else "available_at"
    )


def _warned(row: Prebooking, box: Box) -> Prebooking:
    """Told with the answer alone: AimHarder may name a gym of theirs late."""
    message = f"AimHarder does not name {box.subdomain} among your gyms: look whether box_subdomain is right."
    warning = {"code": "box_not_yours", "message": message, "since": row.created_at.isoformat()}
    return replace(row, warning=warning)


async def listing(request: Request) -> Response:
    parts, user = await _user(request)
    try:
        query = Query.model_validate(dict(request.query_params))
    except ValidationError as exc:
        raise invalid_from(exc) from exc
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
    name = name_of(request, user)
    return _answer(await parts.scheduler.retry(_id(request), user, name.id, new.available_at, name.key))


_REFUSALS = {
    "exists": (
        "prebooking-exists",
        "You have a prebooking of this class already, with another opening: move that one.",
    ),
    "booking_in_progress": ("booking-in-progress", "It is being booked right now: wait for its result."),
    "already_finished": ("already-finished", "It has ended already."),
    "not_failed": ("not-failed", "Only a failed prebooking can be retried; this one is still waiting."),
}


def _answer(done: Transition, status: int = 200, *, opening: str = "available_at") -> Response:
    """The row as it is now, or the refusal in its HTTP form. `opening`: the field that told it."""
    if done.outcome in _REFUSALS:
        code, detail = _REFUSALS[done.outcome]
        raise Problem(409, detail, code=code, prebooking_id=done.prebooking and str(done.prebooking.id))
    if done.outcome == "too_many":
        raise _too_many(done)
    if done.outcome == "key_reused":
        raise _key_reused()
    if done.outcome == "too_late":
        raise invalid(opening, f"the class can be booked until {done.give_up_at}: nothing is left to wait for")
    if done.prebooking is None:
        raise _not_found()
    return JSONResponse(as_json(done.prebooking), status)


def _too_many(refused: Transition) -> Problem:
    """Which limit it is, and what to do about it. Only the one by the minute lifts by itself."""
    if not refused.retry_after:
        detail = f"You have {refused.limit} active prebookings, the most at once: cancel one, or wait for one to end."
        return Problem(429, detail, code="too-many")
    what = f"You made, moved or retried {refused.limit} prebookings within a minute, the most"
    return too_often(what, refused.retry_after)


def _key_reused() -> Problem:
    told = "was used for another wish: make a new key for each"
    return invalid("Idempotency-Key", told, code="idempotency-key-reused")


async def _user(request: Request) -> tuple[Services, str]:
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


_EXISTS, _IN_PROGRESS, _FINISHED, _NOT_FAILED = (
    Problem(409, detail, code=code, prebooking_id="0c8f6b52-5d0f-4c9a-9f0e-2f6b1f4f7a11")
    for code, detail in _REFUSALS.values()
)
_TOO_MANY = _too_many(Transition(outcome="too_many", limit=30, retry_after=17))
_NOT_YOURS = _not_found()
_TOO_LATE = invalid(
    "available_at", "the class can be booked until 2030-11-28 17:00:00+00:00: nothing is left to wait for"
)
_CREATE = """\
`available_at` says when the class opens, or `opens` by which rule. Days count on the box's wall clock, over daylight
saving changes too: a time that the clocks skip counts as if they had not been put forward yet, one that they show twice
is the first. Hours are hours that pass. The same wish and opening again is no error while it waits: the answer is the
prebooking that there is. Sent again with the same `Idempotency-Key`, it is answered as it was, also when that
prebooking has ended; a limit that was met is not remembered."""
_NO_START = invalid("opens.starts", "say when the class starts, as HH:MM on the box's wall clock")
_AS_IT_IS_NOW = ResponseSpec("The prebooking as it is now.", responses.Prebooking)

ROUTES = [
    ApiRoute(
        "POST",
        "/prebookings",
        create,
        Operation(
            id="createPrebooking",
            tag="prebookings",
            summary="Prebook a class",
            description=_CREATE,
            headers=Idempotency,
            body=NewPrebooking,
            answers={
                201: ResponseSpec("It is waiting for its opening.", responses.Prebooking),
                200: ResponseSpec("You had it already.", responses.Prebooking),
            },
            problems=(*OF_USERS, *BAD_BODY, _TOO_LATE, _NO_START, _key_reused(), _EXISTS, _TOO_MANY),
        ),
    ),
    ApiRoute(
        "GET",
        "/prebookings",
        listing,
        Operation(
            id="listPrebookings",
            tag="prebookings",
            summary="List your prebookings",
            query=Query,
            answers={200: ResponseSpec("The newest first.", responses.PrebookingPage)},
            problems=(*OF_USERS, invalid("limit", "give a number from 1 to 100")),
        ),
    ),
    ApiRoute(
        "GET",
        "/prebookings/{id}",
        read,
        Operation(
            id="getPrebooking",
            tag="prebookings",
            summary="Read a prebooking",
            answers={200: _AS_IT_IS_NOW},
            problems=(*OF_USERS, _NOT_YOURS),
        ),
    ),
    ApiRoute(
        "PATCH",
        "/prebookings/{id}",
        reschedule,
        Operation(
            id="reschedulePrebooking",
            tag="prebookings",
            summary="Move a prebooking that still waits to another opening",
            body=NewOpening,
            answers={200: _AS_IT_IS_NOW},
            problems=(*OF_USERS, *BAD_BODY, _TOO_LATE, _NOT_YOURS, _IN_PROGRESS, _FINISHED, _TOO_MANY),
        ),
    ),
    ApiRoute(
        "DELETE",
        "/prebookings/{id}",
        cancel,
        Operation(
            id="cancelPrebooking",
            tag="prebookings",
            summary="Cancel a prebooking",
            description="Again is no error. Once its request may have left, it can't be cancelled any more.",
            answers={200: ResponseSpec("The prebooking, cancelled.", responses.Prebooking)},
            problems=(*OF_USERS, _NOT_YOURS, _IN_PROGRESS, _FINISHED),
        ),
    ),
    ApiRoute(
        "POST",
        "/prebookings/{id}/retry",
        retry,
        Operation(
            id="retryPrebooking",
            tag="prebookings",
            summary="Try a failed prebooking again",
            headers=Idempotency,
            body=Retry,
            body_optional=True,
            answers={200: _AS_IT_IS_NOW},
            problems=(
                *(*OF_USERS, *BAD_BODY, _TOO_LATE, _NOT_YOURS, _key_reused()),
                *(_EXISTS, _IN_PROGRESS, _FINISHED, _NOT_FAILED, _TOO_MANY),
            ),
        ),
    ),
]
