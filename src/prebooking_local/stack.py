"""Everything on this machine: Postgres, Supabase's gateway, QStash, AimHarder, and the service in its own process.

Each runs as a process of its own (processes.py), which ends with the stack.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from prebooking_local.postgres import Postgres, postgres
from prebooking_local.processes import START_S, StartFailedError, migrate, spawn, stand_in, stop
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN
from prebooking_local.serving import free_port, listen
from prebooking_local.supabase import PUBLISHABLE_KEY, SECRET_KEY

SERVICE_KEY = "local_service_key_for_development_only"
#: More of the service's environment, for load: nobody meets a limit by user.
UNLIMITED: dict[str, Any] = dict.fromkeys(
    ("MAX_ACTIVE_PREBOOKINGS", "MAX_CREATES_PER_MINUTE", "MAX_SESSION_CHECKS_PER_MINUTE"), "1000000"
)
_HOST = "127.0.0.1"
_OFFERED = 3  # members to pick from on the page


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen; 0 takes a free port."""

    service: int = 8000
    qstash: int = 8080
    supabase: int = 54321
    aimharder: int = 9000

    def check(self) -> None:
        """Raises PortBusyError before anything is started."""
        for port in (self.service, self.qstash, self.supabase, self.aimharder):
            if port:
                listen(_HOST, port).close()


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with an account at AimHarder and a Supabase login, both with this e-mail and password."""

    email: str
    password: str
    name: str


@dataclass(slots=True)
class Stack:
    """The running stack."""

    postgres: Postgres
    database_url: str
    supabase_url: str
    qstash_url: str
    aimharder_url: str
    service_url: str
    environment: dict[str, str]
    http: httpx.AsyncClient
    processes: dict[str, asyncio.subprocess.Process]  #: by name: the stand-ins, and the service
    folder: str  #: for what belongs to this run alone

    async def control(self, url: str, what: str, content: Any = None) -> Any:
        """Calls a control route of a stand-in. Returns its answer."""
        answer = await self.http.request("GET" if content is None else "POST", f"{url}/_control/{what}", json=content)
        answer.raise_for_status()
        return answer.json()

    async def sign_up(self, members: Sequence[Member]) -> list[dict[str, Any]]:
        """Gives the members accounts at AimHarder. Returns a session of each, which nobody else has."""
        wanted = [{"email": m.email, "password": m.password, "name": m.name} for m in members]
        sessions: list[dict[str, Any]] = (await self.control(self.aimharder_url, "members", wanted))["members"]
        return sessions

    async def enrol(self, members: Sequence[Member]) -> list[dict[str, Any]]:
        """Signs the members up at AimHarder and stores their sessions. Returns these."""
        sessions = await self.sign_up(members)
        await self.store_sessions(sessions)
        return sessions

    async def store_sessions(self, sessions: Sequence[Mapping[str, Any]]) -> None:
        """Stores sessions as the web application does."""
        async with self.database() as connection:
            await connection.executemany(
                "insert into public.auth_sessions"
                " (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)"
                " values ($1, $2, $3, $4, 'background')",
                [(s["email"], s["token"], json.dumps(s["cookies"]), s["fingerprint"]) for s in sessions],
            )

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of its own, as the owner."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    def headers(self, email: str) -> dict[str, str]:
        """Returns the headers with which a trusted server speaks for a member."""
        return {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Email": email}

    async def prebook(self, email: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Creates a prebooking as a frontend's server does, over HTTP. Returns it. Raises httpx.HTTPStatusError."""
        answer = await self.http.post(f"{self.service_url}/prebookings", headers=self.headers(email), json=wish)
        answer.raise_for_status()
        row: dict[str, Any] = answer.json()
        return row


@asynccontextmanager
async def local_stack(
    ports: Ports, members: Sequence[Member] = (), *, parallelism: int = 100, **settings: str
) -> AsyncIterator[Stack]:
    """Starts everything, ready to serve; for the rest see `outside`."""
    async with outside(ports, members, parallelism=parallelism, **settings) as stack, service(stack):
        yield stack


@asynccontextmanager
async def outside(
    ports: Ports, members: Sequence[Member] = (), *, parallelism: int = 100, **settings: str
) -> AsyncIterator[Stack]:
    """Starts all but the service; `settings` are more of its environment.

    `parallelism` is QStash's: how many deliveries are under way at once (100 as with its pay-as-you-go plan).
    """
    ports.check()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="prebooking-"))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        processes: dict[str, asyncio.subprocess.Process] = {}
        # The stand-ins first, beside each other; the service needs all of them.
        qstash, aimharder, server = await asyncio.gather(
            stack.enter_async_context(
                stand_in(processes, "qstash", folder, "--port", str(ports.qstash), "--parallelism", str(parallelism))
            ),
            stack.enter_async_context(stand_in(processes, "aimharder", folder, "--port", str(ports.aimharder))),
            stack.enter_async_context(postgres()),
        )
        logins = [part for m in members for part in ("--member", f"{m.email}:{m.password}")]
        login = {"DATABASE_URL": server.dsn(user="authenticator")}
        supabase, _ = await asyncio.gather(
            stack.enter_async_context(
                stand_in(processes, "supabase", folder, "--port", str(ports.supabase), *logins, **login)
            ),
            migrate(folder, server.dsn()),
        )
        service_port = ports.service or free_port()
        service_url = f"http://{_HOST}:{service_port}"
        environment = {
            "SUPABASE_URL": supabase,
            "SUPABASE_SECRET_KEY": SECRET_KEY,
            "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "QSTASH_URL": qstash,
            "QSTASH_TOKEN": DEV_TOKEN,
            "QSTASH_CURRENT_SIGNING_KEY": DEV_CURRENT_KEY,
            "QSTASH_NEXT_SIGNING_KEY": DEV_NEXT_KEY,
            "PUBLIC_URL": service_url,
            "SERVICE_API_KEY": SERVICE_KEY,
            "CONSOLE": "true",
            "CONSOLE_MEMBERS": ",".join(f"{m.email}:{m.password}" for m in members[:_OFFERED]),
            "AIMHARDER_BOX_URL": aimharder + "/{box}",
            "AIMHARDER_ACCOUNT_URL": aimharder,
            "AIMHARDER_LOGIN_URL": aimharder,
            "HOST": _HOST,
            "PORT": str(service_port),
            **settings,
        }
        yield Stack(
            server, server.dsn(), supabase, qstash, aimharder, service_url, environment, http, processes, folder
        )


@asynccontextmanager
async def service(stack: Stack, *command: str) -> AsyncIterator[None]:
    """Starts the unmodified service, which knows nothing but its environment; or what `command` has Python run."""
    process = await spawn(
        ["-m", "prebooking_local.leash", sys.executable, *(command or ("-m", "prebooking", "serve"))],
        stack.folder,
        stack.environment,
        stdout=None,
    )
    stack.processes["service"] = process
    try:
        await _until_ready(stack, process)
        yield
    finally:
        await stop(process)


async def _until_ready(stack: Stack, process: asyncio.subprocess.Process) -> None:
    for _ in range(int(START_S / 0.05)):
        with contextlib.suppress(httpx.TransportError):
            if (await stack.http.get(f"{stack.service_url}/readyz")).is_success:
                return
        if process.returncode is not None:
            break
        await asyncio.sleep(0.05)
    raise StartFailedError("the service did not start: what it said stands above")
