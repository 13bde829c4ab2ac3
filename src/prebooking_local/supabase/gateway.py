"""The gateway as a whole: its routes, what it is given, and its life."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from prebooking_local.serving import serve_asgi
from prebooking_local.supabase.auth import Auth, AuthError
from prebooking_local.supabase.database import Database, connect
from prebooking_local.supabase.errors import RestError
from prebooking_local.supabase.faults import Faults, KnowsConnection
from prebooking_local.supabase.keys import KeyRefusedError, Keyring
from prebooking_local.supabase.rpc import Rpc
from prebooking_local.supabase.tokens import Member, Tokens

SECRET_KEY = "sb_secret_local_development_only"
PUBLISHABLE_KEY = "sb_publishable_local_development_only"
ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Gateway:
    url: str
    secret_key: str
    publishable_key: str
    faults: Faults
    auth: Auth
    database: Database


async def _error(request: Request, exc: Exception) -> Response:
    if isinstance(exc, AuthError):
        return exc.response(request)
    assert isinstance(exc, KeyRefusedError | RestError)
    return exc.response()


async def _no_tables(request: Request) -> Response:
    raise RestError(
        501,
        "NOT_IMPLEMENTED",
        f"this stand-in answers /rest/v1/rpc/{{function}} alone, not {request.url.path}: call a function",
    )


def _app(rpc: Rpc, auth: Auth, faults: Faults) -> ASGIApp:
    routes = [
        Route("/rest/v1/rpc/{function}", rpc.answer, methods=ALL_METHODS),
        Route("/rest/v1/{rest:path}", _no_tables, methods=ALL_METHODS),
        Mount("/auth/v1", routes=auth.routes()),
        Route("/_control/faults", faults.control, methods=["GET", "POST"]),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["*"],
    )
    errors = dict.fromkeys((RestError, KeyRefusedError, AuthError), _error)
    return KnowsConnection(Starlette(routes=routes, middleware=[cors], exception_handlers=errors))


@asynccontextmanager
async def supabase_gateway(
    dsn: str,
    *,
    port: int = 0,
    members: Iterable[Member] = (),
    pool_size: int = 10,
    acquire_seconds: float = 10,
) -> AsyncIterator[Gateway]:
    """Starts the gateway before the database at `dsn`, which should log in as `authenticator`."""
    tokens = Tokens()
    keys = Keyring(SECRET_KEY, PUBLISHABLE_KEY, tokens.claims_of)
    auth = Auth(keys, tokens, members)
    faults = Faults()
    async with connect(dsn, pool_size=pool_size, acquire_seconds=acquire_seconds) as database:
        app = _app(Rpc(database, keys, faults), auth, faults)
        async with serve_asgi(app, host="127.0.0.1", port=port) as url:
            tokens.issuer = f"{url}/auth/v1"
            yield Gateway(url, SECRET_KEY, PUBLISHABLE_KEY, faults, auth, database)
