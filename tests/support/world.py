"""The whole service in the test's own loop, on real parts: real HTTP to real stand-ins before real Postgres.

Coverage and a debugger see into it, and a test may hold its parts in hand. The unmodified process is tested in
tests/local/test_stack.py.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from tests.support.openapi_contract import openapi_contract

from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.adapters.tls import trusted
from prebooking.main import console_of, open_replica
from prebooking.settings import Settings
from prebooking.web.app import create_app
from prebooking.web.services import Services
from prebooking_local.aimharder import AimHarder, Box, GymClass, Member, aimharder_server
from prebooking_local.postgres import Postgres
from prebooking_local.qstash.message import Message
from prebooking_local.qstash.server import QStashServer, qstash_server
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN
from prebooking_local.serving import free_port, serve_asgi
from prebooking_local.supabase import Gateway, supabase_gateway
from prebooking_local.supabase import Member as Login

SERVICE_KEY = "service-key-of-the-tests"
PASSWORD = "secret"
BOX = Box(slug="mygym", boid=7)
CLASS_ID = 501
Outside = tuple[Gateway, QStashServer, AimHarder]  #: the stand-ins of the outside systems


@dataclass(slots=True)
class World:
    """Everything that runs, and shortcuts for what every test does."""

    database: asyncpg.Connection
    gateway: Gateway
    qstash: QStashServer
    gym: AimHarder
    services: Services
    url: str
    http: httpx.AsyncClient
    opened_at: float = field(default_factory=time.time)

    def speaking_for(self, email: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Email": email}

    async def member(self, email: str, **more: Any) -> Member:
        """Signs a member up at the gym and stores the session, as the web application does."""
        member = Member(email=email, **more)
        self.gym.accounts.put_member(member)
        session = self.gym.accounts.stored_session(email, self.gym.site.clock())
        await self.database.execute(
            "insert into public.auth_sessions"
            " (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)"
            " values ($1, $2, $3, $4, 'background')",
            email,
            session.token,
            json.dumps(session.cookies()),
            session.fingerprint,
        )
        return member

    def open_class(self, opens_in_s: float = 0.0, *, class_id: int = CLASS_ID, **more: Any) -> datetime:
        """Puts a class up; returns its opening."""
        opens_at = datetime.now(UTC) + timedelta(seconds=opens_in_s)
        values = {"box": BOX.slug, "id": class_id, "day": self.day(opens_at), "opens_at": opens_at.isoformat()} | more
        self.gym.gym.put_class(GymClass.model_validate(values))
        return opens_at

    @staticmethod
    def day(opens_at: datetime) -> str:
        return f"{opens_at + timedelta(days=4):%Y%m%d}"

    def wish(self, opens_at: datetime, *, class_id: int | str = CLASS_ID, **data: Any) -> dict[str, Any]:
        """The body of POST /prebookings."""
        return {
            "box_subdomain": BOX.slug,
            "box_aimharder_id": BOX.boid,
            "booking_data": {"day": self.day(opens_at), "id": class_id} | data,
            "available_at": opens_at.isoformat(),
        }

    async def prebook(self, email: str, opens_at: datetime, **data: Any) -> dict[str, Any]:
        answer = await self.http.post(
            "/prebookings", headers=self.speaking_for(email), json=self.wish(opens_at, **data)
        )
        assert answer.is_success, answer.text
        row: dict[str, Any] = answer.json()
        return row

    async def read(self, email: str, prebooking_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/prebookings/{prebooking_id}", headers=self.speaking_for(email))
        assert answer.is_success, answer.text
        row: dict[str, Any] = answer.json()
        return row

    async def finished(self, email: str, prebooking_id: str, within_s: float = 60) -> dict[str, Any]:
        """The row once it has ended."""
        async with asyncio.timeout(within_s):
            while (row := await self.read(email, prebooking_id))["status"] in ("pending", "executing"):
                await asyncio.sleep(0.03)
        return row

    def messages(self, prebooking_id: str) -> list[Message]:
        """All messages that QStash took for a prebooking of this world, callbacks aside, the oldest first."""
        broker = self.qstash.qstash.broker
        of_it = f'"prebooking_id": "{prebooking_id}"'.encode()
        known = (*broker.pending.values(), *broker.finished)
        found = (one for one in known if of_it in one.order.body and one.created_at >= self.opened_at)
        return sorted(found, key=lambda message: message.created_at)

    def booking_requests(self, email: str | None = None) -> int:
        """How many booking requests the gym got."""
        return len(self.gym.ledger.of("/api/book", email))

    def bookings(self, email: str) -> int:
        """How many bookings the gym holds."""
        return sum(1 for booking in self.gym.site.bookings() if booking["member"] == email)


@asynccontextmanager
async def stand_ins(server: Postgres, database: str) -> AsyncIterator[Outside]:
    """The outside systems, shared by the tests of a session."""
    async with (
        supabase_gateway(
            server.dsn(database, user="authenticator"), members=[Login("ana@example.com", PASSWORD)]
        ) as gateway,
        qstash_server(backoff_speed=20) as qstash,
        aimharder_server() as gym,
    ):
        yield gateway, qstash, gym


@asynccontextmanager
async def open_world(
    database: asyncpg.Connection,
    gateway: Gateway,
    qstash: QStashServer,
    gym: AimHarder,
    *,
    beside: bool = False,
    resolver: Resolver | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """One replica of the service, with these settings. `beside`: another runs, so the stand-ins stay as they are."""
    if not beside:
        gym.site.reset()
        gym.gym.put_box(BOX)
        gateway.faults.set()
        qstash.qstash.faults.clear()
        broker = qstash.qstash.broker
        broker.heed_faults()
        for message in [*broker.pending.values()]:  # of earlier tests: it would use up the faults of this one
            broker.cancel(message)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    values: dict[str, Any] = {
        "supabase_url": gateway.url,
        "SUPABASE_SECRET_KEY": gateway.secret_key,
        "qstash_url": qstash.url,
        "qstash_token": DEV_TOKEN,
        "qstash_current_signing_key": DEV_CURRENT_KEY,
        "qstash_next_signing_key": DEV_NEXT_KEY,
        "public_url": url,
        "service_api_key": SERVICE_KEY,
        "aimharder_box_url": gym.url + "/{box}",
        "aimharder_account_url": gym.url,
        "aimharder_login_url": gym.url,
    }
    parsed = Settings(_env_file=None, **(values | settings))
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_replica(parsed, resolver=resolver))

        @asynccontextmanager
        async def these() -> AsyncIterator[Services]:
            yield services

        app = create_app(these, settings.get("frontend_origins", []), console=console_of(parsed))
        await stack.enter_async_context(serve_asgi(app, host="127.0.0.1", port=port))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, verify=trusted(), timeout=30))
        http.event_hooks = {"response": [openapi_contract().hold]}
        yield World(database, gateway, qstash, gym, services, url, http)
