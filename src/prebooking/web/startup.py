"""The replica's services, opened once: by the lifespan, or by the first request where the server runs none.

Servers differ in what they do of ASGI's lifespan: some skip it, some hand no state on from it to the requests. So the
requests have their services from here.
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

_AGAIN_S = 1.0

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


class Startup:
    """Opened anew where it failed, and in another event loop: some hosts run one for each request."""

    def __init__(self, open_services: OpenServices) -> None:
        self._open_parts = open_services
        self._opened: _Opened | None = None

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        opened = self._opened = _Opened(self._open_parts)
        await opened.services
        try:
            yield
        finally:
            await opened.close()

    async def services(self) -> Services:
        """Raises what opening them raised."""
        if self._opened is None or not self._opened.is_good:
            self._opened = _Opened(self._open_parts)
        return await asyncio.shield(self._opened.services)  # others wait for them, too


class _Opened:
    """In a task of its own: whoever asked first may leave, and none of its context stays."""

    def __init__(self, open_services: OpenServices) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._closing = asyncio.Event()
        self.services: asyncio.Future[Services] = self._loop.create_future()
        self._task = self._loop.create_task(self._run(open_services), context=Context())

    @property
    def is_good(self) -> bool:
        """Also once they are closed, as at the end of a process: then they say so themselves."""
        if self._loop is not asyncio.get_running_loop():
            return False
        failed = self.services.done() and (self.services.cancelled() or self.services.exception() is not None)
        return not failed or self._loop.time() - self._began < _AGAIN_S

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
    """Each request gets them; where they can't be opened each is told so."""

    def __init__(self, app: ASGIApp, opening: Startup) -> None:
        self._app = app
        self._opening = opening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                services = await self._opening.services()
            except Exception:  # noqa: BLE001  # it is logged once, where it arose
                await NOT_OPENED.response(Request(scope))(scope, receive, send)
                return
            scope.setdefault("state", {})["services"] = services
        await self._app(scope, receive, send)
