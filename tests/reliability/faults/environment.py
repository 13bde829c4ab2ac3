"""Where one case of the matrix runs: a member, a class and a database of its own, and replicas of its own.

With a database of its own nobody but the case's replicas can take its row: whom the fault meets is no matter of luck.
QStash and the gym are the matrix's, one for all cases.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

import asyncpg
import httpx
from tests.reliability.faults.gym import Box, put_boxes_up
from tests.reliability.faults.replica import Replica
from tests.reliability.faults.rows import AGE_SESSIONS
from tests.support.named_gym import ZONE, by_name

from prebooking.adapters.migrations import migrate
from prebooking_local.names import NameServer, name_server
from prebooking_local.serving import free_port
from prebooking_local.stack import Member, Stack
from prebooking_local.supabase import supabase_gateway

_TEMPLATE = "cases"
_CLIENT_S = 2.0  # how long a client waits for one replica
_WITHIN_S = 120.0  # a session that died with its refresher is found dead once that one's lease has ended
_LOOK_S = 0.1
# Below the ports that systems hand out to outgoing connections, which would take ours during a restart.
# In turn, since one that was handed out is free until its replica listens.
_PORTS = cycle(random.sample(range(10000, 19000), 9000))


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What the database and the gym have written down about one member."""

    rows: list[dict[str, Any]]
    bookings: list[dict[str, Any]]
    requests_ns: list[int]  #: the first byte of each booking request


@dataclass(slots=True)
class Environment:
    stack: Stack
    member: Member
    box: Box
    settings: dict[str, str]
    database: asyncpg.Connection
    by_hour: bool = False  #: classes are wished by their hour and name, without an id
    replicas: list[Replica] = field(default_factory=list)
    cancelled_ns: int | None = None  #: when a cancel was answered

    @property
    def first(self) -> Replica:
        """The one that the fault meets."""
        return self.replicas[0]

    async def start(self, settings: Mapping[str, str], port: int | None = None) -> Replica:
        """One more replica; the messages that it publishes come to it. Ready once awaited."""
        port = port or free_port(_PORTS)
        url = f"http://127.0.0.1:{port}"
        replica = Replica(port, {**self.settings, "PUBLIC_URL": url, "PORT": str(port), **settings})
        self.replicas.append(replica)
        await replica.ready()
        return replica

    async def sign_in(self, kind: str = "background") -> None:
        """Stores the member's session, as the web application does."""
        session = await self.box.new_session()
        await self.database.execute(
            "insert into public.auth_sessions"
            " (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)"
            " values ($1, $2, $3, $4, $5)",
            session["email"],
            session["token"],
            json.dumps(session["cookies"]),
            session["fingerprint"],
            kind,
        )

    async def signed_in(self) -> bool:
        """Whether the gym takes the session that the database has."""
        stored = await self.database.fetchval("select aimharder_cookies from public.auth_sessions")
        return await self.box.accepts(json.loads(stored))

    async def stored_token(self) -> str | None:
        """The session's, as the database has it."""
        token: str | None = await self.database.fetchval("select aimharder_token from public.auth_sessions")
        return token

    async def age_session(self) -> None:
        """Nobody has refreshed it for an hour."""
        await self.database.execute(AGE_SESSIONS, [self.member.email])

    async def sessions_lost(self, within_s: float) -> list[str]:
        """What the database has instead of the gym's newest token, if that doesn't come into it in time."""
        until = time.monotonic() + within_s
        while (lost := await self._sessions_lost()) and time.monotonic() < until:
            await asyncio.sleep(_LOOK_S)
        return lost

    async def _sessions_lost(self) -> list[str]:
        newest: dict[str, Any] = {}
        for session in await self.box.sessions():
            newest |= {renewal["token"]: (session, session["renewals"][-1]) for renewal in session["renewals"]}
        found = []
        for row in await self.database.fetch("select aimharder_token, aimharder_cookies from public.auth_sessions"):
            session, last = newest[row["aimharder_token"]]
            cookies = {cookie["name"]: cookie["value"] for cookie in json.loads(row["aimharder_cookies"])}
            if session["ended_by"] is None and (row["aimharder_token"], cookies["amhrdrauth"]) != (
                last["token"],
                last["auth"],
            ):
                found.append(f"the session is lost: rotated {len(session['renewals']) - 1} times, and not stored")
        return found

    async def prebook(self, at: datetime | None = None) -> str:
        """The prebooking's id. `at`: another opening than the gym's."""
        by_id, by_hour = {"id": self.box.class_id}, {"class": {"starts": "08:00", "name": "CrossFit"}}
        body = {
            "box_subdomain": self.box.name,
            "box_aimharder_id": self.box.number,
            "booking_data": {"day": self.box.day} | ({} if self.by_hour else by_id),
            "available_at": (at or self.box.opens_at).isoformat(),
            **(by_hour if self.by_hour else {}),
        }
        return str((await self.ask("POST", "/prebookings", body)).json()["id"])

    async def cancel(self, prebooking_id: str) -> None:
        await self.ask("DELETE", f"/prebookings/{prebooking_id}")
        self.cancelled_ns = self.cancelled_ns or time.time_ns()

    async def ask(self, method: str, path: str, content: Any = None, *, refusal: int | None = None) -> httpx.Response:
        """As a client does: asks whichever replica lives, and again until one answers. `refusal`: may be one too."""
        async with asyncio.timeout(_WITHIN_S):
            for turn in cycle(range(60)):
                alive = [replica for replica in self.replicas if replica.alive]
                answer = await self._try(alive[turn % len(alive)], method, path, content) if alive else None
                if answer is not None and answer.status_code < 500:
                    assert answer.is_success or answer.status_code == refusal, answer.text
                    return answer
                await asyncio.sleep(_LOOK_S)
        raise AssertionError

    async def _try(self, replica: Replica, method: str, path: str, content: Any) -> httpx.Response | None:
        headers = self.stack.headers(self.member.email) | {"Connection": "close"}
        try:
            return await self.stack.http.request(
                method, replica.url + path, headers=headers, json=content, timeout=_CLIENT_S
            )
        except httpx.TransportError:
            return None

    async def until(self, condition: str) -> None:
        """Returns once the SQL condition holds for a row."""
        await self.until_holds(f"exists (select from public.prebookings where {condition})")

    async def until_final(self) -> None:
        """Returns once there are rows, and all have ended."""
        await self.until_holds("(select bool_and(status not in ('pending', 'executing')) from public.prebookings)")

    async def until_holds(self, condition: str) -> None:
        """Returns once the database says so."""
        async with asyncio.timeout(_WITHIN_S):
            while not await self.database.fetchval(f"select {condition}"):
                await asyncio.sleep(_LOOK_S)

    async def until_past_opening(self, by_s: float) -> None:
        await asyncio.sleep(max(0.0, self.box.opens_at.timestamp() + by_s - time.time()))

    async def ledgers(self) -> Ledgers:
        rows = [dict(r) for r in await self.database.fetch("select * from public.prebookings order by created_at, id")]
        for row in rows:
            row["result"] = json.loads(row["result"] or "null")
        return Ledgers(rows, await self.box.bookings(), await self.box.requests_ns())


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """What the environments of a run share."""

    stack: Stack
    names: NameServer


@asynccontextmanager
async def open_infrastructure(stack: Stack) -> AsyncIterator[Infrastructure]:
    await migrate(await stack.postgres.create_database(_TEMPLATE))
    await put_boxes_up(stack)
    async with name_server() as names:
        yield Infrastructure(stack, names)


@asynccontextmanager
async def open_environment(
    infrastructure: Infrastructure, number: int, box: str, settings: Iterable[tuple[str, str]]
) -> AsyncIterator[Environment]:
    """Without a replica; the member is signed up at the gym but not signed in."""
    stack, name = infrastructure.stack, f"{_TEMPLATE}_{number}"
    member = Member(f"member{number}@example.com", "secret", f"Member {number}")
    await stack.postgres.create_database(name, _TEMPLATE)
    database = await asyncpg.connect(stack.postgres.dsn(name))
    try:
        async with supabase_gateway(stack.postgres.dsn(name, user="authenticator"), pool_size=3) as gateway:
            zone = f"c{number}.{ZONE}"  # of its own, so that its names alone can be slow
            variables = stack.environment | by_name(stack, infrastructure.names, zone)
            variables |= {"SUPABASE_URL": gateway.url} | dict(settings)
            named = infrastructure.names.put(f"*.{zone}", ("127.0.0.1",), ttl_s=1)
            environment = Environment(stack, member, Box(stack, box, member.email, number, named), variables, database)
            await environment.box.sign_up(member.password)
            try:
                yield environment
            finally:
                await environment.box.close()
                for replica in environment.replicas:
                    replica.kill()
                    await replica.gone()
    finally:
        await database.close()
        await stack.postgres.drop_database(name)
