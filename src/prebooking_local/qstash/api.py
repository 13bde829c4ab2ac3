"""The HTTP application: who may call, which paths there are, how it refuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from secrets import compare_digest

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from prebooking_local.qstash.refusal import RefusedError

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def api(token: str, routes: Iterable[Route]) -> ASGIApp:
    unsupported = Route("/v2/{path:path}", _unsupported, methods=_METHODS)
    app = Starlette(
        routes=[*routes, unsupported],
        exception_handlers={RefusedError: _refused, HTTPException: _unknown},
    )
    app.router.redirect_slashes = False
    return TokenRequired(app, token)


@dataclass(frozen=True)
class TokenRequired:
    """Of the API; the controls beside it are this machine's own."""

    app: ASGIApp
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v2/"):
            request = Request(scope)
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            given = given or request.query_params.get("qstash_token", "")
            if not compare_digest(given.encode(), self.token.encode()):
                refusal = JSONResponse({"error": "unable to authenticate: invalid token"}, 401)
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def _unsupported(request: Request) -> Response:
    raise RefusedError(501, f"{request.method} {request.url.path} is not supported by this server")


async def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RefusedError)
    return JSONResponse({"error": exc.text}, exc.status)


async def _unknown(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"error": exc.detail}, exc.status_code, exc.headers)
