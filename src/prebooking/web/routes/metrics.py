"""GET /metrics: the metrics of this replica for Prometheus."""

import hmac

from starlette.requests import Request
from starlette.responses import Response

from prebooking.web.openapi.operations import ALWAYS, METRICS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem
from prebooking.web.services import services_of


async def metrics(request: Request) -> Response:
    """Requires METRICS_KEY, else SERVICE_API_KEY; public where neither is set."""
    services = services_of(request)
    _, _, key = request.headers.get("authorization", "").partition(" ")
    if services.metrics_key is not None and not hmac.compare_digest(key.encode(), services.metrics_key.encode()):
        raise _refused()
    body, media_type = services.metrics.exposition()
    return Response(body, headers={"Content-Type": media_type})


def _refused() -> Problem:
    detail = "Send the header Authorization: Bearer <METRICS_KEY>, or <SERVICE_API_KEY> if METRICS_KEY is not set."
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


ROUTES = [
    ApiRoute(
        "GET",
        "/metrics",
        metrics,
        Operation(
            id="getMetrics",
            tag="service",
            summary="Get the metrics",
            description="Metrics of the replica that responds. Requires METRICS_KEY, or SERVICE_API_KEY if it is not"
            " set; public if neither is set.",
            security=METRICS,
            responses={200: ResponseSpec("The metrics in Prometheus's text format.", str, media_type="text/plain")},
            problems=(*ALWAYS, _refused()),
        ),
    ),
]
