"""Liveness and readiness."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.web.openapi.operations import ALWAYS, OPEN, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import DATABASE_DOWN
from prebooking.web.schemas.responses import Health
from prebooking.web.services import services_of


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Responds 503 unless the database and its functions responded within the last second."""
    await services_of(request).readiness.check()
    return JSONResponse({"status": "ready"})


ROUTES = [
    ApiRoute(
        "GET",
        "/healthz",
        healthz,
        Operation(
            id="isAlive",
            tag="service",
            summary="Liveness probe",
            security=OPEN,
            responses={200: ResponseSpec("The process responds.", Health)},
        ),
    ),
    ApiRoute(
        "GET",
        "/readyz",
        readyz,
        Operation(
            id="isReady",
            tag="service",
            summary="Readiness probe",
            security=OPEN,
            responses={200: ResponseSpec("The database and its functions are available.", Health)},
            problems=(*ALWAYS, DATABASE_DOWN),
        ),
    ),
]
