"""Routes of the user's AimHarder session, with which prebookings are booked. Its secrets are never returned."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.cookies import Cookie as SessionCookie
from prebooking.domain.errors import BoxSilentError, TooOftenError
from prebooking.domain.sessions import SessionState
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, too_often
from prebooking.web.requests import read_json
from prebooking.web.services import services_of

_COOKIE_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 6265's token
_COOKIE_VALUE = r"^[ -:<-~]*$"  # no line break and no semicolon, which could begin another header or cookie
_PRINTABLE = r"^[!-~]+$"


def _cookie_name(value: str) -> str:
    if not re.fullmatch(_COOKIE_NAME, value):
        raise ValueError("is not a cookie name: it has letters, digits and signs, without spaces, ; or =")
    return value


def _cookie_value(value: str) -> str:
    if not re.fullmatch(_COOKIE_VALUE, value):
        raise ValueError("must be printable ASCII without ; and line breaks: copy the value from the browser")
    return value


def _printable(value: str) -> str:
    if not re.fullmatch(_PRINTABLE, value):
        raise ValueError("must be printable ASCII without spaces: copy it unchanged from AimHarder")
    return value


class Cookie(BaseModel):
    """A cookie of an AimHarder session."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=128, json_schema_extra={"pattern": _COOKIE_NAME}),
        AfterValidator(_cookie_name),
    ]
    value: Annotated[
        str, Field(max_length=4096, json_schema_extra={"pattern": _COOKIE_VALUE}), AfterValidator(_cookie_value)
    ]


def _one_of_each(cookies: list[Cookie]) -> list[Cookie]:
    if len({cookie.name for cookie in cookies}) != len(cookies):
        raise ValueError("has two cookies of the same name: send only the newer one")
    return cookies


class NewSession(BaseModel):
    """An AimHarder session: its cookies, its refresh token, and the browser fingerprint of the sign-in."""

    cookies: Annotated[list[Cookie], Field(min_length=1, max_length=50), AfterValidator(_one_of_each)]
    token: Annotated[
        str,
        Field(min_length=1, max_length=4096, json_schema_extra={"pattern": _PRINTABLE}),
        AfterValidator(_printable),
    ]
    fingerprint: Annotated[
        str,
        Field(min_length=1, max_length=50, json_schema_extra={"pattern": _PRINTABLE}),
        AfterValidator(_printable),
    ]


class ConnectedSession(BaseModel):
    """The session was alive at `checked_at`, and is stored."""

    alive: Literal[True]
    checked_at: datetime


class SessionView(BaseModel):
    """The user's AimHarder session. `alive`: what AimHarder says now; null: it does not respond.

    `account_email`: the AimHarder account that was signed in to here. `remembered`: whether its password is stored.
    """

    connected: bool
    alive: bool | None
    since: datetime | None
    refreshed_at: datetime | None
    session_type: str | None
    account_email: str | None = None
    remembered: bool = False


async def connect(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    new = await read_json(request, NewSession)
    cookies = [SessionCookie(cookie.name, cookie.value) for cookie in new.cookies]
    try:
        alive = await services.session_connector.connect(
            user, token=new.token, cookies=cookies, fingerprint=new.fingerprint
        )
    except TooOftenError as exc:
        raise _too_often(exc) from exc
    except BoxSilentError as exc:
        raise _unreachable() from exc
    if not alive:
        raise _dead()
    checked_at = datetime.fromtimestamp(services.clock.wall(), UTC)
    return _json(ConnectedSession(alive=True, checked_at=checked_at))


async def look(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    try:
        found = await services.session_connector.status(user)
    except TooOftenError as exc:
        raise _too_often(exc) from exc
    return _json(session_view(found.state, alive=found.alive) if found else session_view(None, alive=False))


def session_view(state: SessionState | None, *, alive: bool | None) -> SessionView:
    if state is None:
        return SessionView(connected=False, alive=alive, since=None, refreshed_at=None, session_type=None)
    return SessionView(
        connected=True,
        alive=alive,
        since=state.since,
        refreshed_at=state.refreshed_at,
        session_type=state.session_type,
        account_email=state.account_email,
        remembered=state.remembered,
    )


async def disconnect(request: Request) -> Response:
    services = services_of(request)
    await services.session_connector.disconnect(await services.users.email(request))
    return Response(status_code=204)


def _dead() -> Problem:
    return invalid(
        "cookies", "AimHarder says that this session has expired: sign in there again, and send the new cookies"
    )


def _unreachable() -> Problem:
    detail = "AimHarder does not respond, so the session was not checked and not stored: try again."
    return Problem(503, detail, code="gym-unreachable", headers={"Retry-After": "5"})


def _too_often(refused: TooOftenError) -> Problem:
    what = f"Your AimHarder session was checked {refused.limit} times within a minute, the maximum"
    return too_often(what, refused.retry_after)


def _json(model: BaseModel) -> JSONResponse:
    return JSONResponse(model.model_dump(mode="json"))


_TOO_OFTEN = _too_often(TooOftenError(12, 17))
ROUTES = [
    ApiRoute(
        "PUT",
        "/session",
        connect,
        Operation(
            id="connectSession",
            tag="session",
            summary="Connect an AimHarder session",
            description="Checks the session and stores it in place of an earlier one. Its secrets are never returned. A"
            " remembered password is deleted, since it may belong to another account.",
            body=NewSession,
            responses={
                200: ResponseSpec("The session is alive, and is used for bookings from now on.", ConnectedSession)
            },
            problems=(*OF_USERS, *BAD_BODY, _dead(), _TOO_OFTEN, _unreachable()),
        ),
    ),
    ApiRoute(
        "GET",
        "/session",
        look,
        Operation(
            id="getSession",
            tag="session",
            summary="Check the AimHarder session",
            description="Asks AimHarder whether the session is alive. An expired session is refreshed if AimHarder"
            " allows it.",
            responses={200: ResponseSpec("The state of the session.", SessionView)},
            problems=(*OF_USERS, _TOO_OFTEN),
        ),
    ),
    ApiRoute(
        "DELETE",
        "/session",
        disconnect,
        Operation(
            id="disconnectSession",
            tag="session",
            summary="Disconnect the AimHarder session",
            description="Deletes the stored session with the account's e-mail address and password. Repeating it is not"
            " an error. Sessions that the web application stored for its devices are kept.",
            responses={204: ResponseSpec("The session was deleted.")},
            problems=OF_USERS,
        ),
    ),
]
