"""The application: its routes as a table, its services from the lifespan or the first request."""

from collections.abc import Sequence
from functools import cache

from starlette.applications import Starlette
from starlette.middleware import Middleware

from prebooking.web.console import Console, console_routes
from prebooking.web.middleware.cors import cors
from prebooking.web.middleware.errors import ErrorMiddleware
from prebooking.web.middleware.path_prefix import Prefix
from prebooking.web.middleware.security_headers import SecurityHeaders
from prebooking.web.openapi.document import openapi_route
from prebooking.web.openapi.operations import ApiRoute
from prebooking.web.problems import HANDLERS
from prebooking.web.requests import RequestId
from prebooking.web.routes import classes, events, health, metrics, prebookings, qstash, session, sign_in
from prebooking.web.startup import OpenServices, Startup, WithServices

ROUTES = (
    *(*events.ROUTES, *prebookings.ROUTES, *classes.ROUTES, *session.ROUTES, *sign_in.ROUTES),
    *(*qstash.ROUTES, *health.ROUTES, *metrics.ROUTES),
)


@cache
def _contract(prefix: str) -> ApiRoute:
    return openapi_route(ROUTES, prefix)  # 0.1 s of CPU


def create_app(
    open_services: OpenServices,
    frontend_origins: Sequence[str],
    *,
    https: bool = False,
    prefix: str = "",
    console: Console | None = None,
) -> Starlette:
    """`https`: the world reaches this service by https alone, and browsers are told so. `console`: with the page.

    `prefix`: the path below which the world reaches it, whether a proxy takes it away or not.
    """
    routes = [*ROUTES, _contract(prefix), *(console_routes(console) if console else ())]
    opening = Startup(open_services)

    ours = {route.path.split("/")[1] for route in routes}
    app = Starlette(
        routes=routes,
        # From the outside in: also what the inner ones refuse gets the headers and the id.
        middleware=[
            # A path that is called as one of ours has to be taken away before.
            Middleware(Prefix, "" if f"{prefix}/".split("/")[1] in ours else prefix),
            Middleware(SecurityHeaders, https=https),
            Middleware(RequestId),
            cors(frontend_origins),
            Middleware(WithServices, opening),
            Middleware(ErrorMiddleware),
        ],
        exception_handlers=HANDLERS,
        lifespan=opening.lifespan,
    )
    app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
    return app
