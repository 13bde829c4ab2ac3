"""POST /session: signs in to AimHarder by e-mail address and password, which are never returned."""

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StrictBool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.errors import (
    AccountLockedError,
    BoxSilentError,
    CantRememberError,
    TooManyTriesError,
    WrongCredentialsError,
)
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, too_often
from prebooking.web.requests import has_hung_up, read_json
from prebooking.web.routes.classes import BoxView, box_view
from prebooking.web.routes.session import SessionView, session_view
from prebooking.web.schemas.body import RequestBody
from prebooking.web.services import services_of

_LOCKED_S = 900  # an estimate: it is not known for how long AimHarder locks an account

_EMAIL = "^[!-?A-~]+@[!-?A-~]+$"  # for /openapi.json: a subset that is certainly valid


def _email(value: str) -> str:
    stripped = value.strip()
    name, _, host = stripped.rpartition("@")
    if not (name and host) or not stripped.isprintable() or " " in stripped:
        raise ValueError("is not an e-mail address: send the one of your AimHarder account")
    return stripped


def _password(value: SecretStr) -> SecretStr:
    try:
        value.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("has an incomplete character: send it as UTF-8") from None  # its text quotes the password
    return value


class SignIn(RequestBody):
    """AimHarder credentials. `remember`: store the password, encrypted, to sign in again when the session expires."""

    email: Annotated[
        str, Field(min_length=1, max_length=254, json_schema_extra={"pattern": _EMAIL}), AfterValidator(_email)
    ]
    password: Annotated[SecretStr, Field(min_length=1, max_length=1000), AfterValidator(_password)]
    remember: StrictBool = False


class SignedInView(SessionView):
    """The new session, and the user's gyms."""

    boxes: list[BoxView]


async def sign_in(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    credentials = await read_json(request, SignIn)
    try:
        stored, boxes = await services.sign_ins.sign_in(
            user,
            credentials.email,
            credentials.password.get_secret_value(),
            remember=credentials.remember,
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
    # If it is not the newest, the user has meanwhile disconnected or connected another session, which was not checked.
    alive = True if stored.newest else None if stored.state else False
    views = [box_view(box) for box in boxes]
    view = SignedInView(**session_view(stored.state, alive=alive).model_dump(), boxes=views)
    return JSONResponse(view.model_dump(mode="json"))


def _wrong() -> Problem:
    detail = "AimHarder says that the e-mail or password is wrong. Nothing was changed."
    return Problem(422, detail, code="wrong-credentials")


def _cant_remember() -> Problem:
    return invalid("remember", "is not available, because the service has no key to encrypt passwords: send false")


def _too_many_tries(retry_after: float) -> Problem:
    return too_often("There were too many attempts to sign in to AimHarder", retry_after)


def _locked() -> Problem:
    return too_often("AimHarder has locked this account for a while after too many attempts to sign in", _LOCKED_S)


def _unreachable() -> Problem:
    detail = "AimHarder does not respond as expected: try again. GET /session says whether the sign-in succeeded."
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
            description="Signs in and stores the session in place of an earlier one. A refused sign-in changes"
            " nothing.",
            body=SignIn,
            responses={200: ResponseSpec("The session is alive, and is used for bookings from now on.", SignedInView)},
            problems=(
                *(*OF_USERS, *BAD_BODY, _wrong(), _cant_remember()),
                *(_too_many_tries(600), _locked(), _unreachable()),
            ),
        ),
    ),
]
