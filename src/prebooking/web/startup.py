"""Opens the services of a replica once: in the lifespan, or at the first request where the server runs no lifespan.

ASGI servers differ: some skip the lifespan, some do not pass its state on to requests. So the services are attached to
each request here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from prebooking.web.problems import NOT_OPENED
from prebooking.web.services import Services

_log = structlog.get_logger()

_RETRY_AFTER_S = 1.0

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


class Startup:
    """Opens the services again after a failure, and in a new event loop: some hosts run one per request."""

    def __init__(self, open_services: OpenServices) -> None:
        self._open_services = open_services
        self._opened: _Opened | None = None

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        opened = self._opened = _Opened(self._open_services)
        await opened.services
        try:
            yield
        finally:
            await opened.close()

    async def services(self) -> Services:
        """Returns the services, opening them if necessary. Raises what opening them raised."""
        if self._opened is None or not self._opened.is_usable:
            self._opened = _Opened(self._open_services)
        return await asyncio.shield(self._opened.services)  # other requests wait for them, too


class _Opened:
    """Opens the services in a task of its own: the first request may be cancelled, and its context must not leak."""

    def __init__(self, open_services: OpenServices) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._closing = asyncio.Event()
        self.services: asyncio.Future[Services] = self._loop.create_future()
        self._task = self._loop.create_task(self._run(open_services), context=Context())

    @property
    def is_usable(self) -> bool:
        """Whether to use these services. True also after they are closed at the end of the process: they report it."""
        if self._loop is not asyncio.get_running_loop():
            return False
        failed = self.services.done() and (self.services.cancelled() or self.services.exception() is not None)
        return not failed or self._loop.time() - self._began < _RETRY_AFTER_S

    async def close(self) -> None:
        self._closing.set()
        await self._task

    async def _run(self, open_services: OpenServices) -> None:
        try:
            async with open_services() as services:
                self.services.set_result(services)
                await self._closing.wait()
        except Exception as exc:
            if self.services.done():
                raise
            _log.critical("not_opened", exc_info=exc)
            self.services.set_exception(exc)
        finally:
            self.services.cancel()


class WithServices:
    """Attaches the services to each request, or answers 503 if they can't be opened."""

    def __init__(self, app: ASGIApp, startup: Startup) -> None:
        self._app = app
        self._startup = startup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                services = await self._startup.services()
            except Exception:  # noqa: BLE001  # logged by _Opened
                await NOT_OPENED.response(Request(scope))(scope, receive, send)
                return
            scope.setdefault("state", {})["services"] = services
        await self._app(scope, receive, send)
