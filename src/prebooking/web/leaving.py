"""The last requests of a process that ends: they are answered, and the next ones go elsewhere."""

import asyncio

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prebooking.web.parts import parts_of
from prebooking.web.problems import Problem

_log = structlog.get_logger()


class Leaving:
    """Once the stop is told, each answer closes its connection: the server does so only for those that it had seen.

    A request that outlasts the server's grace is cancelled, and one that comes after it finds its clients closed: both
    are told to ask again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        executor = parts_of(request).executor
        started = False

        async def closing(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if executor.stopping:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, closing)
        except (Exception, asyncio.CancelledError) as exc:
            if started or not (executor.stopping or isinstance(exc, asyncio.CancelledError)):
                raise
            _log.warning("request_interrupted", path=request.url.path, reason=repr(exc))
            problem = Problem(503, "This server is stopping. Nothing is lost: try again.", headers={"Retry-After": "1"})
            await problem.response(request)(scope, receive, closing)
