"""The application: its routes as a table, its parts from the lifespan."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from prebooking.web import boxes, events, health, metrics, prebookings, qstash, session, sign_in
from prebooking.web.console import Console, console_routes
from prebooking.web.openapi import openapi_route
from prebooking.web.operations import ApiRoute
from prebooking.web.parts import Parts
from prebooking.web.problems import HANDLERS
from prebooking.web.requests import RequestId
from prebooking.web.security_headers import SecurityHeaders
from prebooking.web.unforeseen import Unforeseen

ROUTES = (
    *(*events.ROUTES, *prebookings.ROUTES, *boxes.ROUTES, *session.ROUTES, *sign_in.ROUTES),
    *(*qstash.ROUTES, *health.ROUTES, *metrics.ROUTES),
)


@cache
def _contract() -> ApiRoute:
    return openapi_route(ROUTES)  # 0.1 s of CPU


class _State(TypedDict):
    parts: Parts


def create_app(
    open_parts: Callable[[], AbstractAsyncContextManager[Parts]],
    frontend_origins: Sequence[str],
    *,
    https: bool = False,
    console: Console | None = None,
) -> Starlette:
    """`https`: the world reaches this service by https alone, and browsers are told so. `console`: with the page."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_State]:
        async with open_parts() as parts:
            yield {"parts": parts}

    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(frontend_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )
    app = Starlette(
        routes=[*ROUTES, _contract(), *(console_routes(console) if console else ())],
        # From the outside in: also what the inner ones refuse gets the headers and the id.
        middleware=[Middleware(SecurityHeaders, https=https), Middleware(RequestId), cors, Middleware(Unforeseen)],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
    return app
