"""Routes of the user's calendar. Its address contains a secret, so that calendar programs need no sign-in."""

from typing import Annotated

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.errors import EmailTakenError, TooOftenError
from prebooking.usecases.calendars import SECRET
from prebooking.web.openapi.operations import ALWAYS, OF_USERS, OPEN, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import DATABASE_DOWN, Problem, email_taken, too_often
from prebooking.web.services import services_of


class CalendarAddress(BaseModel):
    """The address of the user's calendar. Anybody who has it can read the calendar; it is not shown again."""

    url: str


class CalendarPath(BaseModel):
    """The secret of a calendar."""

    secret: Annotated[
        str, Field(json_schema_extra={"pattern": SECRET}, description="The secret part of the calendar's address.")
    ]


async def make(request: Request) -> Response:
    services = services_of(request)
    caller = await services.users.caller(request)
    try:
        url = await services.calendars.make(caller.email, caller.sub)
    except TooOftenError as exc:
        raise _made_too_often(exc) from exc
    except EmailTakenError as exc:
        raise email_taken(caller.email) from exc
    return JSONResponse(CalendarAddress(url=url).model_dump())


async def end(request: Request) -> Response:
    services = services_of(request)
    await services.calendars.end(await services.users.email(request))
    return Response(status_code=204)


async def read(request: Request) -> Response:
    services = services_of(request)
    try:
        file = await services.calendars.read(request.path_params["secret"])
    except TooOftenError as exc:
        raise _read_too_often(exc) from exc
    if file is None:
        raise _no_calendar()
    headers = {"Cache-Control": "private, no-store", "Content-Disposition": 'inline; filename="prebooking.ics"'}
    return Response(file, headers=headers, media_type="text/calendar")


def _no_calendar() -> Problem:
    return Problem(404, "There is no calendar at this address: it may have been replaced or removed.")


def _made_too_often(refused: TooOftenError) -> Problem:
    return too_often(f"You asked for {refused.limit} calendar addresses within a minute", refused.retry_after)


def _read_too_often(refused: TooOftenError) -> Problem:
    return too_often(f"Calendars were read {refused.limit} times within a minute, the maximum", refused.retry_after)


_TOO_OFTEN = TooOftenError(12, 17)
ROUTES = [
    ApiRoute(
        "POST",
        "/calendar",
        make,
        Operation(
            id="makeCalendar",
            tag="calendar",
            summary="Make a calendar address",
            description="Returns an address for calendar programs, which need no sign-in. It replaces an earlier one.",
            responses={200: ResponseSpec("The address, which is not shown again.", CalendarAddress)},
            problems=(*OF_USERS, _made_too_often(_TOO_OFTEN)),
        ),
    ),
    ApiRoute(
        "DELETE",
        "/calendar",
        end,
        Operation(
            id="endCalendar",
            tag="calendar",
            summary="Remove the calendar",
            description="Invalidates the calendar's address. Repeating it is not an error.",
            responses={204: ResponseSpec("There is no calendar address any more.")},
            problems=OF_USERS,
        ),
    ),
    ApiRoute(
        "GET",
        "/calendar/{secret}.ics",
        read,
        Operation(
            id="getCalendar",
            tag="calendar",
            summary="Get the calendar",
            description="An iCalendar file (RFC 5545) with an event for each prebooking: CONFIRMED if it is booked,"
            " TENTATIVE while it waits for its opening or is on a waiting list, and CANCELLED for 30 days after it was"
            " cancelled. Failed ones are left out.",
            security=OPEN,
            query=CalendarPath,
            responses={
                200: ResponseSpec(
                    "The calendar.",
                    str,
                    headers={"Cache-Control": "Always `private, no-store`."},
                    media_type="text/calendar",
                )
            },
            problems=(*ALWAYS, DATABASE_DOWN, _no_calendar(), _read_too_often(_TOO_OFTEN)),
        ),
    ),
]
