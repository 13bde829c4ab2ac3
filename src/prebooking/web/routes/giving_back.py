"""The route that gives the place of a completed prebooking back."""

from math import ceil
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.usecases.giving_back import Answer, Result
from prebooking.web.openapi.operations import OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid_from
from prebooking.web.schemas import responses
from prebooking.web.schemas.fields import TrueOrFalse
from prebooking.web.schemas.rows import as_json
from prebooking.web.services import services_of
from prebooking.web.transitions import NOT_YOURS, not_found, prebooking_id


class GivingBackQuery(BaseModel):
    """Whether a late cancellation is accepted."""

    late: Annotated[TrueOrFalse, Field(description="true: give the place back even if the gym keeps the credit.")] = (
        False
    )


async def give_back(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    try:
        query = GivingBackQuery.model_validate(dict(request.query_params))
    except ValidationError as exc:
        raise invalid_from(exc) from exc
    return _response(await services.give_back.give_back(prebooking_id(request), user, late=query.late))


def _response(result: Result) -> Response:
    match result.answer:
        case Answer.GIVEN_BACK if result.prebooking is not None:
            return JSONResponse(as_json(result.prebooking))
        case Answer.NOT_FOUND:
            raise not_found()
        case Answer.NOT_BOOKED:
            raise NOT_BOOKED
        case Answer.LATE:
            raise LATE
        case Answer.REFUSED:
            raise refused(result.gym_message)
        case _:
            raise unknown(result.retry_after)


NOT_BOOKED = Problem(409, "This prebooking has no place to give back: it was not booked.", code="not-booked")
LATE = Problem(
    409,
    "It is late: the gym would keep the credit. Send it again with ?late=true to give the place back anyway.",
    code="late-cancellation",
)


def refused(gym_message: str) -> Problem:
    said = f": {gym_message}" if gym_message else "; look at your bookings there."
    return Problem(409, f"The gym refuses to take the place back{said}", code="refused-by-gym")


def unknown(retry_after: float) -> Problem:
    detail = "It is not known yet whether the place was given back: ask again in a moment."
    return Problem(503, detail, code="gym-unreachable", headers={"Retry-After": str(ceil(retry_after))})


ROUTES = [
    ApiRoute(
        "DELETE",
        "/prebookings/{id}/booking",
        give_back,
        Operation(
            id="giveBack",
            tag="prebookings",
            summary="Give the booked place back",
            description="Cancels the booking at the gym. `result.given_back_at` is set, and the class can be prebooked"
            " again. Repeating it is not an error.",
            query=GivingBackQuery,
            responses={200: ResponseSpec("The place was given back.", responses.Prebooking)},
            problems=(*OF_USERS, NOT_YOURS, NOT_BOOKED, LATE, refused("Too late"), unknown(5)),
        ),
    ),
]
