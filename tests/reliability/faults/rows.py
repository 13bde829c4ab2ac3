"""The database's ledger, read and written beside the service, through restarts of the server."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

_PATIENCE_S = 30.0
#: What became of the sessions, kept beside them: each row as it was from then on, whoever wrote it.
_KEEP_SESSIONS = """
create schema if not exists witness;
create table if not exists witness.sessions (id bigint generated always as identity, email text, token text, auth text,
  told_dead boolean, at timestamptz default pg_catalog.clock_timestamp());
create or replace function witness.note() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'DELETE' then
    insert into witness.sessions (email) values (pg_catalog.lower(old.user_email));
  elsif tg_op = 'INSERT' or (old.aimharder_token, old.aimharder_cookies, old.last_token_update_error)
      is distinct from (new.aimharder_token, new.aimharder_cookies, new.last_token_update_error) then
    insert into witness.sessions (email, token, auth, told_dead) values (pg_catalog.lower(new.user_email),
      new.aimharder_token,
      (select c ->> 'value' from pg_catalog.jsonb_array_elements(new.aimharder_cookies) c
        where c ->> 'name' = 'amhrdrauth' limit 1),
      new.last_token_update_error is not null);
  end if;
  return null;
end $$;
create or replace trigger witness after insert or update or delete on public.auth_sessions
  for each row execute function witness.note();
"""
_FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as the database had it from then on; no token: it was deleted. Epoch seconds."""

    email: str
    token: str | None
    auth: str | None
    told_dead: bool
    at: float


class Rows:
    """Like whoever else has the database's URL: each call is tried until the server is there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._line = asyncio.Lock()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._line, asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await asyncpg.connect(self._url)
                    found: list[asyncpg.Record] = await self._connection.fetch(query, *arguments)
                    return found
                except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
                    await self._hang_up()
                except (asyncpg.CannotConnectNowError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError):
                    await self._hang_up()

    async def close(self) -> None:
        async with self._line:
            if self._connection is not None:
                await self._connection.close()

    async def counts(self) -> Counter[str]:
        """Rows by status."""
        found = await self.fetch("select status, count(*) as n from public.prebookings group by status")
        return Counter({row["status"]: row["n"] for row in found})

    async def unfinished(self) -> int:
        return sum(n for status, n in (await self.counts()).items() if status not in _FINAL)

    async def leases(self) -> dict[str, float]:
        """When each row that is executing may be claimed next (epoch seconds), by the row's id."""
        found = await self.fetch(
            "select id, lease_until from public.prebookings where status = 'executing' and lease_until is not null"
        )
        return {str(row["id"]): row["lease_until"].timestamp() for row in found}

    async def all(self) -> list[dict[str, Any]]:
        """Every row, its JSON read."""
        rows = [dict(row) for row in await self.fetch("select * from public.prebookings order by created_at, id")]
        for row in rows:
            for column in ("booking_data", "result", "shots"):
                row[column] = json.loads(row[column]) if row[column] is not None else None
        return rows

    async def keep_sessions(self) -> None:
        """From now on it is written down what the sessions were."""
        async with self._line:
            connection = await asyncpg.connect(self._url)
            try:
                await connection.execute(_KEEP_SESSIONS)
            finally:
                await connection.close()

    async def stored_sessions(self) -> list[Stored]:
        """All that they were, in order."""
        found = await self.fetch("select email, token, auth, told_dead, at from witness.sessions order by id")
        return [
            Stored(one["email"], one["token"], one["auth"], bool(one["told_dead"]), one["at"].timestamp())
            for one in found
        ]

    async def told_to_sign_in(self) -> list[str]:
        """The members whose session the service found dead."""
        found = await self.fetch(
            "select user_email from public.auth_sessions where last_token_update_error is not null"
        )
        return [row["user_email"] for row in found]

    async def age_sessions(self, emails: Sequence[str]) -> None:
        """Their tokens are as old as those that nobody has used for an hour."""
        await self.fetch(
            "update public.auth_sessions set last_token_update_date = now() - interval '1 hour',"
            " created_at = now() - interval '1 hour', connected_at = null, last_refresh_date = null"
            " where user_email = any ($1)",
            list(emails),
        )

    async def sessions(self) -> dict[str, str]:
        """By member: the token that the database has now."""
        found = await self.fetch("select user_email, aimharder_token from public.auth_sessions")
        return {row["user_email"]: row["aimharder_token"] for row in found}

    async def sign_in(self, session: dict[str, Any]) -> None:
        """Stores a new session of a member, as the web application does after a login."""
        await self.fetch(
            "update public.auth_sessions set aimharder_token = $2, aimharder_cookies = $3, fingerprint = $4,"
            " last_token_update_error = null, updated_at = now() where user_email = $1",
            session["email"],
            session["token"],
            json.dumps(session["cookies"]),
            session["fingerprint"],
        )

    async def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        await asyncio.sleep(0.1)
