"""What nothing else has answered: an error of ours, and the last requests of a process that ends."""

import asyncio

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from prebooking.web.middleware.headers import with_headers
from prebooking.web.problems import BROKEN, STOPPING
from prebooking.web.services import services_of

_log = structlog.get_logger()


class ErrorMiddleware:
    """An error is told as one too, and logged with its trace.

    Once the stop is told, each answer closes its connection: the server does so only for those that it had seen. A
    request that outlasts the server's grace is cancelled, and one that comes after it finds its clients closed: both
    are told to ask again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        executor = services_of(request).executor
        started = False

        def start(headers: MutableHeaders) -> None:
            nonlocal started
            started = True
            if executor.stopping:
                headers["Connection"] = "close"

        send = with_headers(send, start)
        try:
            await self._app(scope, receive, send)
        except (Exception, asyncio.CancelledError) as exc:
            if started:
                raise
            if executor.stopping or isinstance(exc, asyncio.CancelledError):
                _log.warning("request_interrupted", path=request.url.path, reason=repr(exc))
                problem = STOPPING
            else:
                _log.error("request_failed", path=request.url.path, exc_info=exc)
                problem = BROKEN
            await problem.response(request)(scope, receive, send)
