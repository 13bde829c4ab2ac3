"""Answers unexpected errors, and the last requests of a process that is shutting down."""

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
    """Logs an unexpected error with its traceback and answers 500.

    During shutdown every response closes its connection; the server closes only those that it knew before. A request
    that is cancelled at the end of the grace period, or fails because the services are closed, is answered 503.
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

        def on_start(headers: MutableHeaders) -> None:
            nonlocal started
            started = True
            if executor.stopping:
                headers["Connection"] = "close"

        send = with_headers(send, on_start)
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
