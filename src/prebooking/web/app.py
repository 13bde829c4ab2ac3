"""The Starlette application: routes and middleware."""

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
from prebooking.web.routes import (
    calendar,
    classes,
    events,
    giving_back,
    health,
    metrics,
    prebookings,
    qstash,
    series,
    session,
    sign_in,
)
from prebooking.web.startup import OpenServices, Startup, WithServices

ROUTES = (
    *(*events.ROUTES, *prebookings.ROUTES, *giving_back.ROUTES, *classes.ROUTES, *session.ROUTES, *sign_in.ROUTES),
    *(*series.ROUTES, *calendar.ROUTES, *qstash.ROUTES, *health.ROUTES, *metrics.ROUTES),
)


@cache
def _contract(prefix: str) -> ApiRoute:
    return openapi_route(ROUTES, prefix)  # takes 0.1 s of CPU


def create_app(
    open_services: OpenServices,
    frontend_origins: Sequence[str],
    *,
    https: bool = False,
    prefix: str = "",
    console: Console | None = None,
) -> Starlette:
    """Returns the application. `https`: clients reach it by https only, which is sent to browsers as HSTS.

    `prefix`: the path below which clients reach it, whether or not a proxy strips it. `console`: serves the page at /.
    """
    routes = [*ROUTES, _contract(prefix), *(console_routes(console) if console else ())]
    startup = Startup(open_services)

    first_segments = {route.path.split("/")[1] for route in routes}
    app = Starlette(
        routes=routes,
        # Outermost first: responses of the inner ones also get the headers and the request id.
        middleware=[
            # A prefix with the name of a route can only be stripped by the proxy.
            Middleware(Prefix, "" if f"{prefix}/".split("/")[1] in first_segments else prefix),
            Middleware(SecurityHeaders, https=https),
            Middleware(RequestId),
            cors(frontend_origins),
            Middleware(WithServices, startup),
            Middleware(ErrorMiddleware),
        ],
        exception_handlers=HANDLERS,
        lifespan=startup.lifespan,
    )
    app.router.redirect_slashes = False  # the redirect would go to the host that the Host header names
    return app
