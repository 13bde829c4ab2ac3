"""Every error answer of PostgREST, among them the rule that turns an SQLSTATE into an HTTP status."""

import json
from collections.abc import Mapping
from typing import Any

import asyncpg
from starlette.responses import Response

JSON_TYPE = "application/json; charset=utf-8"

_STATUS_OF_CODE = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "42883": 404,
    "42P01": 404,
    "42501": 403,
    "57P01": 503,
    "P0001": 400,
}
_STATUS_OF_CLASS = (
    {"08": 503, "53": 503, "54": 413}
    | dict.fromkeys(("0L", "0P", "28"), 403)
    | dict.fromkeys(
        ("09", "25", "2D", "38", "39", "3B", "40", "55", "57", "58", "F0", "HV", "P0", "XX"),
        500,
    )
)


class RestError(Exception):
    """An error answer on its way to the client; raised inside a transaction, it also rolls that back."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        hint: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status if 200 <= status < 600 else 500  # our server sends no others
        self.headers = {**_usual_headers(status), **(headers or {})}
        self.body = {"code": code, "details": details, "hint": hint, "message": message}

    def response(self) -> Response:
        body = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return Response(body, self.status, {"content-type": JSON_TYPE, **self.headers})


def _usual_headers(status: int) -> dict[str, str]:
    return {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": "0"}}.get(status, {})


def bad_token(message: str, code: str = "PGRST301") -> RestError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return RestError(401, code, message, headers={"www-authenticate": challenge})


def no_database(exc: BaseException) -> RestError:
    return RestError(
        503, "PGRST000", "Database connection error. Retrying the connection.", details=str(exc) or repr(exc)
    )


def lost_database(exc: BaseException) -> RestError:
    """Returns the error of a connection that broke during the call: whether it was committed is unknown."""
    return RestError(503, "PGRST001", "Database client error. Retrying the connection.", details=str(exc))


def raised(exc: asyncpg.PostgresError | asyncpg.PostgresWarning, *, anonymous: bool) -> RestError:
    """Returns the error that Postgres, or the function itself by RAISE, has raised."""
    code, message = str(exc.sqlstate), str(exc.message)
    if code == "PGRST":
        return _worded_by_the_function(message, exc.detail)
    status = _status(code)
    if code == "42501" and anonymous:
        status = 401
    return RestError(status, code, message, details=exc.detail, hint=exc.hint)


def _status(code: str) -> int:
    if code.startswith("PT"):
        return int(code[2:]) if code[2:].isdecimal() else 500
    return _STATUS_OF_CODE.get(code) or _STATUS_OF_CLASS.get(code[:2], 400)


def _worded_by_the_function(message: str, detail: str | None) -> RestError:
    try:
        said, manner = json.loads(message), json.loads(detail or "")
        return RestError(
            manner["status"],
            said["code"],
            said["message"],
            details=said.get("details"),
            hint=said.get("hint"),
            headers=manner["headers"],
        )
    except (ValueError, KeyError, TypeError):
        return RestError(500, "PGRST121", "The message and detail field of RAISE 'PGRST' error expects JSON")
