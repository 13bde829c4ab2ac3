"""Routes of users' series. A series of another user is answered as one that does not exist."""

from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.series import MOST, SeriesAnswer
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, invalid_from, too_often
from prebooking.web.requests import read_json
from prebooking.web.schemas.series import NewSeries, SeriesChange, SeriesQuery
from prebooking.web.schemas.series_json import SeriesAsJson, SeriesList, as_json
from prebooking.web.services import Services, services_of


async def create(request: Request) -> Response:
    services, user = await _user(request)
    new = await read_json(request, NewSeries)
    answer = await services.series.create(user, new.as_weekly())
    return _response(answer, 201 if answer.outcome is StoreOutcome.CREATED else 200)


async def listing(request: Request) -> Response:
    services, user = await _user(request)
    return JSONResponse({"series": [as_json(one) for one in await services.series.list(user)]})


async def read(request: Request) -> Response:
    services, user = await _user(request)
    series = await services.series.read(user, _series_id(request))
    if series is None:
        raise NOT_YOURS
    return JSONResponse(as_json(series))


async def change(request: Request) -> Response:
    services, user = await _user(request)
    series_id = _series_id(request)
    wanted = await read_json(request, SeriesChange)
    return _response(await services.series.change(user, series_id, wanted.applied_to))


async def end(request: Request) -> Response:
    services, user = await _user(request)
    series_id = _series_id(request)
    try:
        query = SeriesQuery.model_validate(dict(request.query_params))
    except ValidationError as exc:
        raise invalid_from(exc) from exc
    if not await services.series.end(user, series_id, keep=query.keep):
        raise NOT_YOURS
    return Response(status_code=204)


def _response(answer: SeriesAnswer, status: int = 200) -> Response:
    if answer.outcome is StoreOutcome.TOO_MANY:
        raise _too_many(answer)
    if answer.series is None:
        raise NOT_YOURS
    return JSONResponse(as_json(answer.series), status)


def _too_many(refused: SeriesAnswer) -> Problem:
    if refused.retry_after:
        what = f"Your series made {refused.limit} prebookings or more within a minute, the maximum"
        return too_often(what, refused.retry_after)
    return Problem(429, f"You have {refused.limit} series, the maximum: end one.", code="too-many")


def _series_id(request: Request) -> UUID:
    """Raises Problem."""
    try:
        return UUID(request.path_params["id"])
    except ValueError as exc:
        raise NOT_YOURS from exc


async def _user(request: Request) -> tuple[Services, str]:
    services = services_of(request)
    return services, await services.users.email(request)


NOT_YOURS = Problem(404, "You have no series with this id.")
_TOO_MANY = _too_many(SeriesAnswer(outcome=StoreOutcome.TOO_MANY, limit=MOST))
_TOO_OFTEN = _too_many(SeriesAnswer(outcome=StoreOutcome.TOO_MANY, limit=60, retry_after=17))
_NEVER_OPEN = invalid("opens", "must be before the class starts: nothing could be booked")
_CURRENT = ResponseSpec("The series in its current state.", SeriesAsJson)
_CREATE = """\
Creates a series: each of its days becomes a prebooking (with its `series_id`) when it opens within eight days, and the
next one in any case. Days and hours are on the gym's wall clock, as for `opens` of a prebooking. A day that another
prebooking of the same class already has is left to that one.

Repeating a request is safe: if there is a series with the same fields, the response is that series."""
_CHANGE = """\
Pending prebookings that no longer fit are cancelled, and missing ones are created; a prebooking whose request may have
been sent stays. Days of `skip`, and all days while `paused`, are not booked; they are booked again once that ends, if
their class has not begun. Cancelling a prebooking of the series, or giving its place back, adds its day to `skip`.
"""

ROUTES = [
    ApiRoute(
        "POST",
        "/series",
        create,
        Operation(
            id="createSeries",
            tag="series",
            summary="Book a class every week",
            description=_CREATE,
            body=NewSeries,
            responses={
                201: ResponseSpec("The series was created.", SeriesAsJson),
                200: ResponseSpec("The series existed already and is returned unchanged.", SeriesAsJson),
            },
            problems=(*OF_USERS, *BAD_BODY, _NEVER_OPEN, _TOO_MANY),
        ),
    ),
    ApiRoute(
        "GET",
        "/series",
        listing,
        Operation(
            id="listSeries",
            tag="series",
            summary="List the user's series",
            responses={200: ResponseSpec("The series, the oldest first: at most 20.", SeriesList)},
            problems=OF_USERS,
        ),
    ),
    ApiRoute(
        "GET",
        "/series/{id}",
        read,
        Operation(
            id="getSeries",
            tag="series",
            summary="Get a series",
            responses={200: _CURRENT},
            problems=(*OF_USERS, NOT_YOURS),
        ),
    ),
    ApiRoute(
        "PATCH",
        "/series/{id}",
        change,
        Operation(
            id="changeSeries",
            tag="series",
            summary="Change a series, skip days, pause it",
            description=_CHANGE,
            body=SeriesChange,
            responses={200: _CURRENT},
            problems=(*OF_USERS, *BAD_BODY, _NEVER_OPEN, NOT_YOURS, _TOO_OFTEN),
        ),
    ),
    ApiRoute(
        "DELETE",
        "/series/{id}",
        end,
        Operation(
            id="endSeries",
            tag="series",
            summary="End a series",
            description="A prebooking whose request may have been sent stays.",
            query=SeriesQuery,
            responses={204: ResponseSpec("The series has ended.")},
            problems=(*OF_USERS, NOT_YOURS, invalid("keep", "must be true or false")),
        ),
    ),
]
