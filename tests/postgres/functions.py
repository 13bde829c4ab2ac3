"""The SQL functions, called as the service calls them: by name, as `service_role`, with the database's clock."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

Answer = dict[str, Any]

NOW = datetime(2099, 3, 4, 8, 0, tzinfo=UTC)

_CLOCK = """
create or replace function prebooking.now() returns timestamptz language sql volatile set search_path = '' as $$
  select coalesce(
    nullif(pg_catalog.current_setting('prebooking.tests_now', true), '')::timestamptz, pg_catalog.clock_timestamp())
$$
"""


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


async def connect(dsn: str) -> asyncpg.Connection:
    connection: asyncpg.Connection = await asyncpg.connect(dsn)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    return connection


async def settable_clock(dsn: str) -> None:
    """Makes the database's clock a setting of the session; where it is not set, the clock is real."""
    connection = await connect(dsn)
    try:
        await connection.execute(_CLOCK)
    finally:
        await connection.close()


class Functions:
    """Defaults are those of a first delivery that comes in time.

    `patient`: asks again when the database, having done nothing, says that it waited too long for others.
    """

    def __init__(self, connection: asyncpg.Connection, *, patient: bool = False) -> None:
        self.connection = connection
        self._patient = patient

    async def at(self, instant: datetime) -> None:
        """Stops the clock there, until the transaction ends."""
        await self.connection.execute("select set_config('prebooking.tests_now', $1, true)", instant.isoformat())

    async def row(self, prebooking_id: UUID) -> dict[str, Any]:
        return dict(await self.connection.fetchrow("select * from public.prebookings where id = $1", prebooking_id))

    async def call(self, function: str, **arguments: Any) -> Answer:
        named = ", ".join(f"p_{name} => ${place}" for place, name in enumerate(arguments, 1))
        while True:
            try:
                answer = await self.connection.fetchval(f"select public.{function}({named})", *arguments.values())
            except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError):
                if not self._patient:
                    raise
            else:
                assert isinstance(answer, dict)
                return answer

    async def create(
        self,
        booking_data: Mapping[str, Any],
        available_at: datetime | None,
        *,
        id: UUID | None = None,  # noqa: A002  # the column's name
        user_email: str = "ana@example.com",
        box: str = "kap",
        max_active: int | None = None,
        max_per_minute: int | None = None,
        **known: Any,
    ) -> Answer:
        """`known`: starts_at, time_zone; without, as a replica creates that knows nothing of them."""
        return await self.call(
            "create_prebooking",
            id=id or uuid4(),
            user_email=user_email,
            box_subdomain=box,
            box_aimharder_id="10584",
            booking_data=dict(booking_data),
            available_at=available_at,
            max_active=max_active,
            max_per_minute=max_per_minute,
            **known,
        )

    async def attach(self, prebooking_id: UUID, version: int, message_id: str, address: str | None = None) -> Answer:
        """Without an address: as a replica attaches that knows nothing of it."""
        named = {} if address is None else {"address": address}
        return await self.call("attach_message", id=prebooking_id, version=version, message_id=message_id, **named)

    async def note_failure(self, prebooking_id: UUID, version: int, reason: str = "down") -> Answer:
        return await self.call("note_delivery_failure", id=prebooking_id, version=version, reason=reason)

    async def cancel(self, prebooking_id: UUID, user_email: str = "ana@example.com") -> Answer:
        return await self.call("cancel_prebooking", id=prebooking_id, user_email=user_email)

    async def reschedule(
        self,
        prebooking_id: UUID,
        to: datetime,
        user_email: str = "ana@example.com",
        *,
        max_per_minute: int | None = None,
    ) -> Answer:
        return await self.call(
            "reschedule_prebooking",
            id=prebooking_id,
            user_email=user_email,
            available_at=to,
            max_per_minute=max_per_minute,
        )

    async def retry(
        self,
        prebooking_id: UUID,
        to: datetime | None = None,
        user_email: str = "ana@example.com",
        token: UUID | None = None,
        max_active: int | None = None,
        max_per_minute: int | None = None,
    ) -> Answer:
        return await self.call(
            "retry_prebooking",
            id=prebooking_id,
            user_email=user_email,
            token=token or uuid4(),
            available_at=to,
            max_active=max_active,
            max_per_minute=max_per_minute,
        )

    async def claim(
        self,
        prebooking_id: UUID,
        token: UUID,
        version: int | None = None,
        *,
        horizon: float = 5,
        max_attempts: int = 5,
        lease: float | None = None,
        capabilities: list[str] | None = None,
    ) -> Answer:
        """Without a lease: as a replica claims that doesn't renew it. Without capabilities: as release 0.1.0 does."""
        named: dict[str, Any] = {} if lease is None else {"lease_seconds": lease}
        named |= {} if capabilities is None else {"capabilities": capabilities}
        return await self.call(
            "claim_prebooking",
            id=prebooking_id,
            token=token,
            version=version,
            horizon_seconds=horizon,
            max_attempts=max_attempts,
            **named,
        )

    async def renew(self, held: Mapping[UUID, UUID], *, lease: float = 5) -> Answer:
        """`held`: the token by which each row is held."""
        return await self.call("renew_claims", ids=list(held.keys()), tokens=list(held.values()), lease_seconds=lease)

    async def begin(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        lease: float = 20,
        max_attempts: int = 5,
        settled: bool = False,
        starts_at: datetime | None = None,
        book_until: float | None = None,
    ) -> Answer:
        """Without `book_until` (minutes): as a replica begins that knows no such limit."""
        named = {} if book_until is None else {"book_until_minutes": book_until, "starts_at": starts_at}
        return await self.call(
            "begin_booking",
            id=prebooking_id,
            token=token,
            lease_seconds=lease,
            max_attempts=max_attempts,
            settled=settled,
            **named,
        )

    async def finish(self, prebooking_id: UUID, token: UUID, outcome: str = "booked", message: str = "Said.") -> Answer:
        success = outcome in {"booked", "already_booked", "waiting_list"}
        return await self.call(
            "finish_booking",
            id=prebooking_id,
            token=token,
            success=success,
            outcome=outcome,
            message=message,
            result={"success": success, "outcome": outcome},
        )

    async def release(
        self,
        prebooking_id: UUID,
        token: UUID,
        outcome: str | None = None,
        message: str | None = None,
        *,
        shots: Sequence[Mapping[str, Any]] = (),
        retry: float = 0,
        graceful: bool = False,
        settled: bool = False,
    ) -> Answer:
        return await self.call(
            "release_prebooking",
            id=prebooking_id,
            token=token,
            outcome=outcome,
            message=message,
            shots=list(shots),
            retry_seconds=retry,
            graceful=graceful,
            settled=settled,
        )

    async def park(
        self,
        prebooking_id: UUID,
        token: UUID,
        outcome: str | None = None,
        message: str | None = None,
        *,
        shots: Sequence[Mapping[str, Any]] = (),
        retry: float | None = None,
    ) -> Answer:
        return await self.call(
            "park_prebooking",
            id=prebooking_id,
            token=token,
            outcome=outcome,
            message=message,
            shots=list(shots),
            retry_seconds=retry,
        )

    async def sweep(
        self,
        *,
        lead: float = 3,
        max_delay: float = 518400,
        limit: int = 500,
        address: str | None = None,
        per_minute: int | None = None,
        capabilities: list[str] | None = None,
    ) -> Answer:
        """Without an address: as a replica sweeps that knows nothing of it. Without capabilities: as release 0.1.0."""
        named: dict[str, Any] = {} if address is None else {"address": address, "max_per_minute": per_minute}
        named |= {} if capabilities is None else {"capabilities": capabilities}
        return await self.call(
            "sweep_prebookings", lead_seconds=lead, max_delay_seconds=max_delay, limit=limit, **named
        )


Many = Callable[[int], Awaitable[list[Functions]]]


@asynccontextmanager
async def rolled_back(connection: asyncpg.Connection) -> AsyncIterator[Functions]:
    """One transaction as the service, at NOW, that leaves nothing behind."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("set local role service_role")
        functions = Functions(connection)
        await functions.at(NOW)
        yield functions
    finally:
        await transaction.rollback()


async def until_waiting(other: Functions, *, for_: Functions) -> None:
    """Returns once the other session waits for this one's transaction."""
    blocked = "select pg_backend_pid() = any(pg_blocking_pids($1))"
    async with asyncio.timeout(30):
        while not await for_.connection.fetchval(blocked, other.connection.get_server_pid()):
            await asyncio.sleep(0.002)
