"""Errors as RFC 9457 problem details, each with a code for programs and the id of the request."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Match

from prebooking.domain.errors import StoreUnavailableError
from prebooking.field_errors import message_of
from prebooking.web.schemas.responses import ProblemDetails

_log = structlog.get_logger()

_CODES = {
    400: "malformed-json",
    401: "unauthorized",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "too-large",
    415: "unsupported-media-type",
    431: "headers-too-large",
    489: "malformed",
    500: "internal-error",
    503: "database-unavailable",
}


_OF_QSTASH = {489: "Not Retryable"}  # not registered: QStash's status for a delivery that must not be retried


def title_of(status: int) -> str:
    return _OF_QSTASH.get(status) or HTTPStatus(status).phrase


class Problem(Exception):  # noqa: N818  # the RFC's own word
    """Raised by a handler; the request is answered with this error."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or _CODES[status]
        self.headers = dict(headers or {})
        self.extra = extra

    def details(self, instance: str, request_id: str) -> dict[str, Any]:
        """Returns the members of the problem details object."""
        problem = ProblemDetails(
            title=title_of(self.status),
            status=self.status,
            detail=self.detail,
            instance=instance,
            code=self.code,
            request_id=request_id,
            **self.extra,
        )
        return problem.model_dump(exclude_none=True)

    def response(self, request: Request) -> JSONResponse:
        body = self.details(request.url.path, request.scope.get("request_id", ""))
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")

    def as_http(self, request_id: str) -> bytes:
        """Returns the complete HTTP response, for a connection whose request could not be parsed."""
        body = json.dumps(self.details("", request_id)).encode()
        head = (
            f"HTTP/1.1 {self.status} {title_of(self.status)}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        return head.encode() + body


BROKEN = Problem(500, "An error occurred in this service. It is in the log under this request_id.")
STOPPING = Problem(
    503, "This server is shutting down. Nothing was lost: try again.", code="stopping", headers={"Retry-After": "1"}
)
NOT_OPENED = Problem(
    503,
    "This server could not start completely: see `not_opened` in its log. Nothing was lost: try again.",
    code="not-opened",
    headers={"Retry-After": "2"},
)
DATABASE_DOWN = Problem(
    503, "The database does not respond. Nothing was lost: try again in a moment.", headers={"Retry-After": "2"}
)


def identity_unknown(retry_after: int = 2) -> Problem:
    detail = "The access token can't be verified right now, because Supabase's keys can't be fetched: try again."
    return Problem(503, detail, code="identity-unavailable", headers={"Retry-After": str(retry_after)})


def email_taken(email: str) -> Problem:
    detail = (
        f"The e-mail address {email} already belongs to another account in this service. If it is yours now, ask the "
        f"operator to run `prebooking release-email {email}`, which cancels the pending prebookings of that account."
    )
    return Problem(403, detail, code="email-taken")


def invalid(field: str, message: str, *, code: str = "invalid-request") -> Problem:
    return Problem(422, f"{field}: {message}", code=code, errors=[{"field": field, "message": message}])


def too_often(what: str, retry_after: float) -> Problem:
    """`what`: the limit that was reached. `retry_after`: seconds until it is lifted."""
    seconds = math.ceil(retry_after)
    return Problem(429, f"{what}: try again in {seconds} s.", code="too-many", headers={"Retry-After": str(seconds)})


def invalid_from(error: ValidationError) -> Problem:
    """Names every invalid field and how to correct it."""
    errors = [
        {"field": ".".join(str(part) for part in found["loc"]) or "body", "message": message_of(found)}
        for found in error.errors(include_url=False, include_input=False)
    ]
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors)
    return Problem(422, detail, code="invalid-request", errors=errors)


async def _on_problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, Problem)  # registered for Problem only
    return exc.response(request)


async def _on_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    code = _CODES.get(exc.status_code, "error")
    headers = {"Allow": _allowed(request)} if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED else exc.headers
    return Problem(exc.status_code, exc.detail, code=code, headers=headers).response(request)


def _allowed(request: Request) -> str:
    """Returns the methods of all routes of this path; Starlette's header has those of the first only."""
    of_path = [route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
    return ", ".join(sorted({method for route in of_path for method in route.methods}))


async def _on_store_unavailable(request: Request, exc: Exception) -> JSONResponse:
    _log.warning("database_unavailable", path=request.url.path, reason=str(exc))
    return DATABASE_DOWN.response(request)


async def _on_hang_up(request: Request, _: Exception) -> JSONResponse:
    return Problem(400, "The connection closed before the body was complete.").response(request)


HANDLERS = {
    ClientDisconnect: _on_hang_up,
    Problem: _on_problem,
    HTTPException: _on_http_exception,
    StoreUnavailableError: _on_store_unavailable,
}
