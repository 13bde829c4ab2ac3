"""Is it alive, and can it work?"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.web.openapi.operations import ALWAYS, OPEN, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import DATABASE_DOWN
from prebooking.web.schemas.responses import Health
from prebooking.web.services import services_of


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Whether the database and its functions are there, within the last second; 503 otherwise."""
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
            summary="Is it alive?",
            security=OPEN,
            answers={200: ResponseSpec("It answers.", Health)},
        ),
    ),
    ApiRoute(
        "GET",
        "/readyz",
        readyz,
        Operation(
            id="isReady",
            tag="service",
            summary="Are the database and its functions there?",
            security=OPEN,
            answers={200: ResponseSpec("They are.", Health)},
            problems=(*ALWAYS, DATABASE_DOWN),
        ),
    ),
]
