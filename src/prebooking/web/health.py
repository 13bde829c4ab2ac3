"""Is it alive, and can it work?"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.web.answers import Health
from prebooking.web.operations import ALWAYS, OPEN, Answer, ApiRoute, Operation
from prebooking.web.parts import parts_of
from prebooking.web.problems import DATABASE_DOWN


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Whether the database and its functions are there, within the last second; 503 otherwise."""
    await parts_of(request).readiness.check()
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
            answers={200: Answer("It answers.", Health)},
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
            answers={200: Answer("They are.", Health)},
            problems=(*ALWAYS, DATABASE_DOWN),
        ),
    ),
]
