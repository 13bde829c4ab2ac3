"""The application: its routes as a table, its parts from the lifespan."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from prebooking.web import health, prebookings, qstash
from prebooking.web.parts import Parts
from prebooking.web.problems import HANDLERS
from prebooking.web.requests import RequestId


class _State(TypedDict):
    parts: Parts


def create_app(
    open_parts: Callable[[], AbstractAsyncContextManager[Parts]], frontend_origins: Sequence[str]
) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_State]:
        async with open_parts() as parts:
            yield {"parts": parts}

    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(frontend_origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )
    return Starlette(
        routes=[*prebookings.ROUTES, *qstash.ROUTES, *health.ROUTES],
        middleware=[cors, Middleware(RequestId)],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
