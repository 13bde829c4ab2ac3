"""Request ids, and reading of bodies within a limit that is counted, not taken from Content-Length."""

import asyncio
import json
import re
import secrets
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from prebooking.web.middleware.headers import with_headers
from prebooking.web.problems import Problem, invalid_from

_Model = TypeVar("_Model", bound=BaseModel)

LARGEST_BODY = 16 * 1024
SLOWEST_BODY_S = 10.0
_TURNS_BEFORE_DISCONNECT = 4  # of the event loop: the server reports a disconnect after the data before it
_GIVEN_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class RequestId:
    """Accepts or generates the request id, which is in the response and in every log line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = scope["request_id"] = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)

        def add_request_id(headers: MutableHeaders) -> None:
            headers["X-Request-Id"] = request_id

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, with_headers(send, add_request_id))


def too_large(limit: int = LARGEST_BODY) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes.")


def refuse_larger(request: Request, limit: int = LARGEST_BODY) -> None:
    """Raises Problem where Content-Length exceeds the limit, without reading the body."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)


async def read_body(request: Request, limit: int = LARGEST_BODY) -> bytes:
    refuse_larger(request, limit)
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    # The connection stays open, and the server discards the rest: closing it could reset it before the
                    # client has read the response.
                    raise too_large(limit)
    except TimeoutError as exc:
        detail = f"The body did not arrive within {SLOWEST_BODY_S:g} s."
        raise Problem(408, detail, headers={"Connection": "close"}) from exc
    return bytes(body)


async def read_json(request: Request, model: type[_Model], *, optional: bool = False) -> _Model:
    """Returns the body as `model`. `optional`: an absent body is an empty object. Raises Problem."""
    body = await read_body(request)
    await _still_wanted(request)
    if optional and not body:
        return _validated(model, {})
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
    try:
        content = json.loads(body)
    except json.JSONDecodeError as exc:
        raise Problem(400, f"The body is not JSON: {exc}") from exc
    except (ValueError, RecursionError) as exc:  # not UTF-8, a number of 5000 digits, nested without end
        raise Problem(
            400, "The body is not valid JSON: send UTF-8, without very long numbers or deep nesting."
        ) from exc
    return _validated(model, content)


async def _still_wanted(request: Request) -> None:
    """Raises ClientDisconnect if the client has disconnected.

    A process that was suspended finds old requests, whose clients may have sent them to another replica meanwhile: a
    prebooking that they created there, and may have cancelled, must not be created again.
    """
    if await has_hung_up(request):
        raise ClientDisconnect


async def has_hung_up(request: Request) -> bool:
    """Returns whether the client has disconnected, which a process that was suspended also notices.

    Starlette's `is_disconnected` formats the task that it cancels, which takes a tenth of a create's CPU time.
    """
    receiving = asyncio.ensure_future(request.receive())
    for _ in range(_TURNS_BEFORE_DISCONNECT):
        await asyncio.sleep(0)
    if receiving.done():
        return bool(receiving.result()["type"] == "http.disconnect")
    receiving.cancel()
    return False


def _validated(model: type[_Model], content: Any) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        raise invalid_from(exc) from exc
