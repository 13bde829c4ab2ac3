"""The figures of this replica, as Prometheus reads them."""

from starlette.requests import Request
from starlette.responses import Response

from prebooking.web.operations import ALWAYS, SERVICE, Answer, ApiRoute, Operation
from prebooking.web.parts import parts_of
from prebooking.web.problems import Problem


async def metrics(request: Request) -> Response:
    """Open only where there is no key to ask for."""
    parts = parts_of(request)
    if not parts.users.is_server(request):
        raise _refused()
    body, media_type = parts.meter.exposition()
    return Response(body, headers={"Content-Type": media_type})


def _refused() -> Problem:
    detail = "Send the header Authorization: Bearer <SERVICE_API_KEY>."
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
            description="Of the replica that answers. Without a SERVICE_API_KEY in its environment it asks for none.",
            security=SERVICE,
            answers={200: Answer("Prometheus's text format.", str, media_type="text/plain")},
            problems=(*ALWAYS, _refused()),
        ),
    ),
]
