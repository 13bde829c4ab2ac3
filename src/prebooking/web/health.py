"""Is it alive, and can it work?"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prebooking.web.parts import parts_of


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Whether the database and its functions are there; 503 otherwise."""
    await parts_of(request).store.check()
    return JSONResponse({"status": "ready"})


ROUTES = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
