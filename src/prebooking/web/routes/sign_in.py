"""A member signs in to AimHarder by e-mail and password. Both come in and never go out."""

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StrictBool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.errors import AccountLockedError, BoxSilentError, WrongCredentialsError
from prebooking.usecases.sessions.sign_in import CantRememberError, TooManyTriesError
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, too_often
from prebooking.web.requests import has_hung_up, read_json
from prebooking.web.routes.classes import BoxView
from prebooking.web.routes.session import SessionView, session_view
from prebooking.web.services import services_of

_LOCKED_S = 900  # nobody has recorded for how long AimHarder locks an account

_EMAIL = "^[!-?A-~]+@[!-?A-~]+$"  # for the contract: what is surely one


def _email(value: str) -> str:
    stripped = value.strip()
    name, _, host = stripped.rpartition("@")
    if not (name and host) or not stripped.isprintable() or " " in stripped:
        raise ValueError("is not an e-mail address: write the one that you sign in to AimHarder with")
    return stripped


def _password(value: SecretStr) -> SecretStr:
    try:
        value.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("has half a character: send it as UTF-8") from None  # which would quote it
    return value


class SignIn(BaseModel):
    """As on AimHarder's own page. `remember`: keep the password, encrypted, to sign in again before an opening."""

    email: Annotated[
        str, Field(min_length=1, max_length=254, json_schema_extra={"pattern": _EMAIL}), AfterValidator(_email)
    ]
    password: Annotated[SecretStr, Field(min_length=1, max_length=1000), AfterValidator(_password)]
    remember: StrictBool = False


class SignedInView(SessionView):
    """What prebookings are booked with from now on, and your gyms."""

    boxes: list[BoxView]


async def sign_in(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    asked = await read_json(request, SignIn)
    try:
        stored, boxes = await services.sign_ins.sign_in(
            user,
            asked.email,
            asked.password.get_secret_value(),
            remember=asked.remember,
            abandoned=partial(has_hung_up, request),
        )
    except CantRememberError as exc:
        raise _cant_remember() from exc
    except TooManyTriesError as exc:
        raise _too_many_tries(exc.retry_after) from exc
    except AccountLockedError as exc:
        raise _locked() from exc
    except WrongCredentialsError as exc:
        raise _wrong() from exc
    except BoxSilentError as exc:
        raise _unreachable() from exc
    # Where it is not the newest, the user has disconnected meanwhile, or has another session, of which nobody asked.
    alive = True if stored.newest else None if stored.state else False
    views = [BoxView(subdomain=box.subdomain, aimharder_id=box.aimharder_id, name=box.name) for box in boxes]
    told = SignedInView(**session_view(stored.state, alive=alive).model_dump(), boxes=views)
    return JSONResponse(told.model_dump(mode="json"))


def _wrong() -> Problem:
    detail = "AimHarder says that this e-mail or password is wrong. Nothing was changed."
    return Problem(422, detail, code="wrong-credentials")


def _cant_remember() -> Problem:
    return invalid("remember", "passwords are not kept here, since nothing would encrypt them: sign in without")


def _too_many_tries(retry_after: float) -> Problem:
    return too_often("Too many tries to sign in to AimHarder", retry_after)


def _locked() -> Problem:
    return too_often("AimHarder takes no sign-in to this account for a while, after too many tries", _LOCKED_S)


def _unreachable() -> Problem:
    detail = "AimHarder does not answer as it should: try again. If it answers yet, GET /session will tell."
    return Problem(503, detail, code="gym-unreachable", headers={"Retry-After": "15"})


ROUTES = [
    ApiRoute(
        "POST",
        "/session",
        sign_in,
        Operation(
            id="signIn",
            tag="session",
            summary="Sign in to AimHarder",
            description="The new session takes the place of an earlier one. A sign-in that is refused changes nothing.",
            body=SignIn,
            answers={200: ResponseSpec("It is alive, and prebookings will be booked with it.", SignedInView)},
            problems=(
                *(*OF_USERS, *BAD_BODY, _wrong(), _cant_remember()),
                *(_too_many_tries(600), _locked(), _unreachable()),
            ),
        ),
    ),
]
