"""The figures of this replica, as Prometheus reads them."""

import hmac

from starlette.requests import Request
from starlette.responses import Response

from prebooking.web.openapi.operations import ALWAYS, METRICS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem
from prebooking.web.services import services_of


async def metrics(request: Request) -> Response:
    """Open only where there is no key to ask for."""
    services = services_of(request)
    _, _, key = request.headers.get("authorization", "").partition(" ")
    if services.metrics_key is not None and not hmac.compare_digest(key.encode(), services.metrics_key.encode()):
        raise _refused()
    body, media_type = services.metrics.exposition()
    return Response(body, headers={"Content-Type": media_type})


def _refused() -> Problem:
    detail = "Send the header Authorization: Bearer <METRICS_KEY>, or <SERVICE_API_KEY> where that is not set."
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


ROUTES = [
    ApiRoute(
        "GET",
        "/metrics",
        metrics,
        Operation(
            id="getMetrics",
            tag="service",
            summary="Figures for Prometheus",
            description="Of the replica that answers. It asks for METRICS_KEY, else SERVICE_API_KEY, else for none.",
            security=METRICS,
            answers={200: ResponseSpec("Prometheus's text format.", str, media_type="text/plain")},
            problems=(*ALWAYS, _refused()),
        ),
    ),
]
