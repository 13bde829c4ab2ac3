"""What a user does with prebookings. Another's row looks like a missing one."""

from dataclasses import replace
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.prebooking import Box, Prebooking
from prebooking.web.idempotency import Idempotency, name_of
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.pagination import decode_cursor, encode_cursor
from prebooking.web.problems import invalid, invalid_from
from prebooking.web.requests import read_json
from prebooking.web.schemas import responses
from prebooking.web.schemas.requests import NewOpening, NewPrebooking, Query, Retry
from prebooking.web.schemas.rows import as_json
from prebooking.web.services import Services, services_of
from prebooking.web.transitions import (
    EXISTS,
    FINISHED,
    IN_PROGRESS,
    NOT_FAILED,
    NOT_YOURS,
    TOO_LATE,
    TOO_MANY,
    key_reused,
    not_found,
    response,
)


async def create(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, NewPrebooking)
    box = Box(subdomain=new.box_subdomain, aimharder_id=new.box_aimharder_id)
    name = name_of(request, user)
    created = await services.scheduler.create(
        name.id,
        user,
        box,
        new.booking_data.as_row(),
        new.opening,
        starts_at=new.starts_at,
        time_zone=new.opens.time_zone if new.opens else None,
        key=name.key,
    )
    if created.prebooking and not created.prebooking.warning and services.class_listings.lacks(user, box.subdomain):
        created = replace(created, prebooking=_warned(created.prebooking, box))
    return response(
        created, 201 if created.outcome == "created" else 200, opening="opens" if new.opens else "available_at"
    )


def _warned(row: Prebooking, box: Box) -> Prebooking:
    """Told with the answer alone: AimHarder may name a gym of theirs late."""
    message = f"AimHarder does not name {box.subdomain} among your gyms: look whether box_subdomain is right."
    warning = {"code": "box_not_yours", "message": message, "since": row.created_at.isoformat()}
    return replace(row, warning=warning)


async def listing(request: Request) -> Response:
    services, user = await _user(request)
    try:
        query = Query.model_validate(dict(request.query_params))
    except ValidationError as exc:
        raise invalid_from(exc) from exc
    rows = await services.store.list(
        user,
        status=query.status,
        box_subdomain=query.box_subdomain,
        limit=query.limit + 1,
        before=decode_cursor(query.cursor) if query.cursor else None,
    )
    page, more = rows[: query.limit], len(rows) > query.limit
    cursor = encode_cursor(page[-1]) if more else None
    return JSONResponse({"prebookings": [as_json(row) for row in page], "next_cursor": cursor})


async def read(request: Request) -> Response:
    services, user = await _user(request)
    rows = await services.store.list(user, prebooking_id=_id(request))
    if not rows:
        raise not_found()
    return JSONResponse(as_json(rows[0]))


async def reschedule(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, NewOpening)
    return response(await services.scheduler.reschedule(_id(request), user, new.available_at))


async def cancel(request: Request) -> Response:
    services, user = await _user(request)
    return response(await services.scheduler.cancel(_id(request), user))


async def retry(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, Retry, optional=True)
    name = name_of(request, user)
    return response(await services.scheduler.retry(_id(request), user, name.id, new.available_at, name.key))


async def _user(request: Request) -> tuple[Services, str]:
    services = services_of(request)
    return services, await services.users.email(request)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError as exc:
        raise not_found() from exc


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
            problems=(*OF_USERS, *BAD_BODY, TOO_LATE, _NO_START, key_reused(), EXISTS, TOO_MANY),
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
            problems=(*OF_USERS, NOT_YOURS),
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
            problems=(*OF_USERS, *BAD_BODY, TOO_LATE, NOT_YOURS, IN_PROGRESS, FINISHED, TOO_MANY),
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
            problems=(*OF_USERS, NOT_YOURS, IN_PROGRESS, FINISHED),
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
                *(*OF_USERS, *BAD_BODY, TOO_LATE, NOT_YOURS, key_reused()),
                *(EXISTS, IN_PROGRESS, FINISHED, NOT_FAILED, TOO_MANY),
            ),
        ),
    ),
]
