"""The two servers that must answer alike: our gateway, and the real PostgREST behind the same interface."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from prebooking_local.postgres import Postgres
from prebooking_local.serving import listen
from prebooking_local.supabase import Member, supabase_gateway

MEMBER = Member("ana@example.com", "correct horse")
BINARY = os.environ.get("POSTGREST_BINARY", "")
JWT_SECRET = "only the contract tests sign tokens with this"
# As hosted Supabase configures it. It hands out no sb_ keys itself, so ours are tokens naming the role.
CONFIGURATION = """
db-uri = "{dsn}"
db-schemas = "public"
db-extra-search-path = "public, extensions"
db-anon-role = "anon"
db-max-rows = 1000
jwt-secret = "{secret}"
server-host = "127.0.0.1"
server-port = {port}
openapi-mode = "disabled"
"""


class _Prefixed(httpx.AsyncHTTPTransport):
    """Takes off the path prefix that hosted Supabase's gateway takes off."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(raw_path=request.url.raw_path.removeprefix(b"/rest/v1"))
        return await super().handle_async_request(request)


@dataclass(frozen=True)
class Server:
    url: str
    http: httpx.AsyncClient
    keys: dict[str, dict[str, str]]
    """The headers that make a request one role's."""

    async def call(
        self,
        function: str,
        arguments: Any = None,
        *,
        role: str = "service_role",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        if arguments is not None:
            request["json"] = arguments
        sent = {**self.keys[role], **(headers or {})}
        return await self.http.request(method, f"{self.url}/rest/v1/rpc/{function}", headers=sent, **request)


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


@asynccontextmanager
async def our_gateway(postgres: Postgres) -> AsyncIterator[Server]:
    async with (
        supabase_gateway(postgres.dsn(user="authenticator"), members=[MEMBER]) as gateway,
        httpx.AsyncClient() as http,
    ):

        def of_key(key: str) -> dict[str, str]:
            return {"apikey": key, "authorization": f"Bearer {key}"}

        token = gateway.auth.access_token(MEMBER.email)
        yield Server(
            gateway.url,
            http,
            {
                "service_role": of_key(gateway.secret_key),
                "anon": of_key(gateway.publishable_key),
                "authenticated": {"apikey": gateway.publishable_key, "authorization": f"Bearer {token}"},
            },
        )


@asynccontextmanager
async def real_postgrest(postgres: Postgres, folder: Path) -> AsyncIterator[Server]:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    configuration = folder / "postgrest.conf"
    configuration.write_text(CONFIGURATION.format(dsn=postgres.dsn(user="authenticator"), secret=JWT_SECRET, port=port))
    process = _spawn([BINARY, str(configuration)], folder / "log")
    try:
        async with httpx.AsyncClient(transport=_Prefixed()) as http:

            def of_role(role: str) -> dict[str, str]:
                claims = {"role": role, "email": MEMBER.email, "sub": str(MEMBER.id)}
                return {"authorization": f"Bearer {jwt.encode(claims, JWT_SECRET)}"}

            keys = {role: of_role(role) for role in ("service_role", "authenticated")}
            server = Server(f"http://127.0.0.1:{port}", http, {**keys, "anon": {}})
            await until_status(server, 200)
            yield server
    finally:
        process.terminate()
        process.wait()


async def until_status(server: Server, status: int, function: str = "one_out") -> httpx.Response:
    """Calls a function until it answers with that status: right after a start, an outage, a notice."""
    async with asyncio.timeout(20):
        while True:
            try:
                response = await server.call(function)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code == status:
                return response
            await asyncio.sleep(0.02)
