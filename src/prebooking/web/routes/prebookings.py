"""Routes of the user's prebookings. A prebooking of another user is answered as one that does not exist."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.history import HistoryEvent
from prebooking.domain.prebooking import Box, Prebooking
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.web.idempotency import Idempotency, ids_for
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
    prebooking_id,
    response,
)


async def create(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, NewPrebooking)
    box = Box(subdomain=new.box_subdomain, aimharder_id=new.box_aimharder_id, domain=new.box_domain)
    ids = ids_for(request, user)
    created = await services.scheduler.create(
        ids.id,
        user,
        box,
        new.booking_data.as_row(),
        new.opening,
        starts_at=new.starts_at,
        time_zone=new.time_zone,
        wished=new.class_.as_wished() if new.class_ else None,
        key=ids.key,
    )
    not_member = services.class_listings.is_known_not_member(user, box.subdomain)
    if created.prebooking and not created.prebooking.warning and not_member:
        created = replace(created, prebooking=_warned(created.prebooking, box))
    return response(
        created,
        201 if created.outcome == StoreOutcome.CREATED else 200,
        opening="opens" if new.opens else "available_at",
    )


def _warned(row: Prebooking, box: Box) -> Prebooking:
    """Adds the warning to this response only: AimHarder may list a gym of the user's later."""
    message = f"AimHarder does not list {box.subdomain} among your gyms: check box_subdomain."
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
    rows = await services.store.list(user, prebooking_id=prebooking_id(request))
    if not rows:
        raise not_found()
    return JSONResponse(as_json(rows[0]))


async def history(request: Request) -> Response:
    services, user = await _user(request)
    events = await services.store.read_history(prebooking_id(request), user)
    if events is None:
        raise not_found()
    return JSONResponse({"events": _EVENTS.dump_python(events, mode="json", exclude_none=True)})


async def reschedule(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, NewOpening)
    return response(await services.scheduler.reschedule(prebooking_id(request), user, new.available_at))


async def cancel(request: Request) -> Response:
    services, user = await _user(request)
    return response(await services.scheduler.cancel(prebooking_id(request), user))


async def retry(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, Retry, optional=True)
    ids = ids_for(request, user)
    return response(await services.scheduler.retry(prebooking_id(request), user, ids.id, new.available_at, ids.key))


async def _user(request: Request) -> tuple[Services, str]:
    services = services_of(request)
    return services, await services.users.email(request)


_CREATE = """\
Creates a prebooking, which is booked when the class opens: at `available_at`, or at the instant that the rule `opens`
gives. With `days_before` the opening is a local time at the gym, across daylight saving changes: a time that the change
skips is read with the offset before the change, a time that occurs twice is the first one. `hours_before` is elapsed
time.

The class is named by `booking_data.id`, by its hour and name as `class`, or by both: then the id counts if the gym
lists it, else the only class of that day with that hour and name.

Repeating a request is safe: while a prebooking of the same class with the same opening is pending, the response is that
prebooking. With the same `Idempotency-Key` it is also returned after it has ended. A request that exceeded a limit is
not remembered."""
_EVENTS = TypeAdapter(Sequence[HistoryEvent])
_NO_START = invalid("opens.starts", "is missing: send the local time at which the class starts as HH:MM")
_CURRENT = ResponseSpec("The prebooking in its current state.", responses.Prebooking)

ROUTES = [
    ApiRoute(
        "POST",
        "/prebookings",
        create,
        Operation(
            id="createPrebooking",
            tag="prebookings",
            summary="Create a prebooking",
            description=_CREATE,
            headers=Idempotency,
            body=NewPrebooking,
            responses={
                201: ResponseSpec("The prebooking was created and waits for the opening.", responses.Prebooking),
                200: ResponseSpec("The prebooking existed already and is returned unchanged.", responses.Prebooking),
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
            summary="List the user's prebookings",
            query=Query,
            responses={200: ResponseSpec("The prebookings, newest first.", responses.PrebookingPage)},
            problems=(*OF_USERS, invalid("limit", "must be a number from 1 to 100")),
        ),
    ),
    ApiRoute(
        "GET",
        "/prebookings/{id}",
        read,
        Operation(
            id="getPrebooking",
            tag="prebookings",
            summary="Get a prebooking",
            responses={200: _CURRENT},
            problems=(*OF_USERS, NOT_YOURS),
        ),
    ),
    ApiRoute(
        "GET",
        "/prebookings/{id}/history",
        history,
        Operation(
            id="getPrebookingHistory",
            tag="prebookings",
            summary="Get the history of a prebooking",
            responses={200: ResponseSpec("The events, oldest first: at most 200.", responses.History)},
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
            summary="Reschedule a pending prebooking",
            body=NewOpening,
            responses={200: _CURRENT},
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
            description="Cancelling a cancelled prebooking is not an error. Once the booking request may have been"
            " sent, the prebooking can no longer be cancelled.",
            responses={200: ResponseSpec("The prebooking was cancelled.", responses.Prebooking)},
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
            summary="Retry a failed prebooking",
            headers=Idempotency,
            body=Retry,
            body_optional=True,
            responses={200: _CURRENT},
            problems=(
                *(*OF_USERS, *BAD_BODY, TOO_LATE, NOT_YOURS, key_reused()),
                *(EXISTS, IN_PROGRESS, FINISHED, NOT_FAILED, TOO_MANY),
            ),
        ),
    ),
]
