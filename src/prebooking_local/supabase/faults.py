"""Faults that can be injected into the next calls, and broken connections."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Fault(BaseModel):
    """Waits `seconds`, then does what `kind` says; for the next `times` calls (None: until replaced).

    `answer`: this status, body and media type, as whoever stands before PostgREST says them: Kong, Envoy, Cloudflare,
    a paused project, a proxy with a login of its own. `challenge`: its WWW-Authenticate.
    """

    kind: Literal["delay", "unavailable", "blank", "drop", "lose_answer", "answer"]
    function: str | None = None
    times: int | None = 1
    seconds: float = 0
    status: int = 502
    body: str = '{"message": "An invalid response was received from the upstream server"}'
    media_type: str = "application/json"
    challenge: str | None = None

    def shown(self) -> dict[str, Any]:
        of_answers = {"status", "body", "media_type", "challenge"}
        return self.model_dump(exclude=set() if self.kind == "answer" else of_answers)


_FAULTS = TypeAdapter(list[Fault])


class Faults:
    """The faults in force; the first one that fits a call happens to it."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self._replaced = asyncio.Event()

    def set(self, *faults: Fault) -> None:
        """Replaces all faults. A call that an old one holds up is dropped, so that it can't answer later."""
        self.active = [fault.model_copy() for fault in faults]
        self._replaced.set()
        self._replaced = asyncio.Event()

    def take(self, function: str) -> Fault | None:
        for fault in self.active:
            if fault.times != 0 and fault.function in (None, function):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    async def befall(self, function: str, answer: Callable[[], Awaitable[Response]]) -> Response:
        """Answers a call, or whatever is in force for it instead."""
        fault = self.take(function)
        if fault is None:
            return await answer()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await self._replaced.wait()
                return HangUp()
        if fault.kind == "drop":
            return HangUp()
        if (said := _said(fault)) is not None:
            return said
        answered = await answer()
        return HangUp() if fault.kind == "lose_answer" else answered

    async def control(self, request: Request) -> Response:
        """Shows the faults that are left (GET), or replaces them all (POST)."""
        if request.method == "POST":
            try:
                self.set(*_FAULTS.validate_json(await request.body()))
            except ValidationError as exc:
                return PlainTextResponse(str(exc), 422)
        return JSONResponse([fault.shown() for fault in self.active if fault.times != 0])


def _said(fault: Fault) -> Response | None:
    """Returns what somebody says in the function's place."""
    if fault.kind == "blank":  # what PostgREST says when it finds a pooled connection dead
        return JSONResponse({"code": "", "details": None, "hint": None, "message": ""}, 400)
    if fault.kind == "unavailable":
        return PlainTextResponse("upstream connect error or disconnect/reset before headers", 503)
    if fault.kind == "answer":
        headers = {"www-authenticate": fault.challenge} if fault.challenge else {}
        return Response(fault.body, fault.status, headers, fault.media_type)
    return None


class HangUp(Response):
    """No answer: the connection closes without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's shape
        scope["connection"].abort()
        # The server takes a handler that returns in silence for a broken one until it has noticed the end.
        while (await receive())["type"] != "http.disconnect":
            pass


class KnowsConnection:
    """Hands the connection itself to the app, which ASGI hides: outermost, where `send` is still the server's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server_side: Any = getattr(send, "__self__", None)
        scope["connection"] = getattr(server_side, "transport", None)
        await self._app(scope, receive, send)
