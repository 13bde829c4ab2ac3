"""The user's AimHarder session, which their prebookings are booked with. Its secrets come in and never go out."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.sessions import SessionState
from prebooking.usecases.sessions.connect import TooOftenError
from prebooking.web.openapi.operations import BAD_BODY, OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, too_often
from prebooking.web.requests import read_json
from prebooking.web.services import services_of

_COOKIE_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 6265's token
_COOKIE_VALUE = r"^[ -:<-~]*$"  # no end of the line, no semicolon: nothing that could begin another header or cookie
_PRINTABLE = r"^[!-~]+$"


def _cookie_name(value: str) -> str:
    if not re.fullmatch(_COOKIE_NAME, value):
        raise ValueError("is not a cookie's name: letters, digits and the like, without spaces, ; or =")
    return value


def _cookie_value(value: str) -> str:
    if not re.fullmatch(_COOKIE_VALUE, value):
        raise ValueError("must be printable ASCII without ; or a line's end, as the browser has it")
    return value


def _printable(value: str) -> str:
    if not re.fullmatch(_PRINTABLE, value):
        raise ValueError("must be printable ASCII without spaces, as AimHarder gave it")
    return value


class Cookie(BaseModel):
    """As the browser has it."""

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
        raise ValueError("two of them have the same name: send each cookie once, the newest")
    return cookies


class NewSession(BaseModel):
    """A living sign-in at AimHarder: its cookies, its refresh token, and the fingerprint that it was made with."""

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
    """It was alive at `checked_at`, and is stored."""

    alive: Literal[True]
    checked_at: datetime


class SessionView(BaseModel):
    """What prebookings are booked with. `alive`: as AimHarder says now; null: it doesn't answer.

    `account_email`: of the AimHarder account that was signed in to here; `remembered`: whether its password is kept.
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
    cookies = [(cookie.name, cookie.value) for cookie in new.cookies]
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
        found = await services.session_connector.look(user)
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
    return invalid("cookies", "AimHarder says that this session has ended: sign in there again, and send the new ones")


def _unreachable() -> Problem:
    detail = "AimHarder does not answer, so the session can't be checked, and nothing is stored: try again."
    return Problem(503, detail, code="gym-unreachable", headers={"Retry-After": "5"})


def _too_often(refused: TooOftenError) -> Problem:
    what = f"AimHarder was asked {refused.limit} times about your session within a minute"
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
            summary="Connect your AimHarder session",
            description="It is checked, then stored in place of an earlier one. Its secrets are never returned."
            " A remembered password is forgotten: it may be another account's.",
            body=NewSession,
            answers={200: ResponseSpec("It is alive, and prebookings will be booked with it.", ConnectedSession)},
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
            summary="Is your AimHarder session alive?",
            description="One that has ended is refreshed, as before a booking, where AimHarder still allows it.",
            answers={200: ResponseSpec("What prebookings are booked with.", SessionView)},
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
            summary="Forget your connected session",
            description="With the account's e-mail and password. Again is no error. Sign-ins of the web application's"
            " devices stay.",
            answers={204: ResponseSpec("It is forgotten.")},
            problems=OF_USERS,
        ),
    ),
]
