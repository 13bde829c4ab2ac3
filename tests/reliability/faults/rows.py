"""The database's ledger, read and written beside the service, through restarts of the server."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from tests.reliability.faults.counted import Try

from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.adapters.supabase.sessions import open_cookies, open_token

_WITHIN_S = 120.0
#: A log of all states of the sessions, whoever wrote them.
_RECORD_SESSIONS = """
create schema if not exists session_log;
create table if not exists session_log.sessions (id bigint generated always as identity, email text, token text,
  cookies jsonb, marked_dead boolean, at timestamptz default pg_catalog.clock_timestamp());
create or replace function session_log.note() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'DELETE' then
    insert into session_log.sessions (email) values (pg_catalog.lower(old.user_email));
  elsif tg_op = 'INSERT' or (old.aimharder_token, old.aimharder_cookies, old.last_token_update_error)
      is distinct from (new.aimharder_token, new.aimharder_cookies, new.last_token_update_error) then
    insert into session_log.sessions (email, token, cookies, marked_dead) values (pg_catalog.lower(new.user_email),
      new.aimharder_token, new.aimharder_cookies, new.last_token_update_error is not null);
  end if;
  return null;
end $$;
create or replace trigger session_log after insert or update or delete on public.auth_sessions
  for each row execute function session_log.note();

create table if not exists session_log.tries (account text, own boolean, at timestamptz);
create or replace function session_log.note_try() returns trigger language plpgsql security definer set search_path = ''
as $$ begin
  insert into session_log.tries values (new.account_email, tg_table_name = 'own_sign_ins', new.tried_at);
  return null;
end $$;
create or replace trigger session_log after insert on prebooking.sign_in_tries for each row
  execute function session_log.note_try();
create or replace trigger session_log after insert on prebooking.own_sign_ins for each row
  execute function session_log.note_try();
"""
#: Sessions and passwords are encrypted with it.
SESSION_KEY = base64.b64encode(b"the session key of the campaigns").decode()
_VAULT = SessionVault([base64.b64decode(SESSION_KEY)])
#: As if nobody had refreshed these members' sessions for an hour.
AGE_SESSIONS = """
update public.auth_sessions set last_token_update_date = now() - interval '1 hour',
  created_at = now() - interval '1 hour', connected_at = null, last_refresh_date = null where user_email = any ($1)
"""
_FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as the database had it from then on; no token: it was deleted. Epoch seconds."""

    email: str
    token: str | None
    auth: str | None
    marked_dead: bool
    at: float


class Rows:
    """Like whoever else has the database's URL: each call is tried until the server is there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._line = asyncio.Lock()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._line, asyncio.timeout(_WITHIN_S):
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
        """How many have not ended, but for those that open long after the campaign."""
        found = await self.fetch(
            "select count(*) from public.prebookings"
            " where status <> all ($1) and available_at < now() + interval '1 hour'",
            list(_FINAL),
        )
        return int(found[0]["count"])

    async def leases(self) -> dict[str, float]:
        """When each row that is executing may be claimed next (epoch seconds), by the row's id.

        What the old cron has taken has no lease: it is ours two minutes after its opening.
        """
        found = await self.fetch(
            "select id, coalesce(lease_until, available_at + interval '2 minutes') as lease_until"
            " from public.prebookings where status = 'executing'"
        )
        return {str(row["id"]): row["lease_until"].timestamp() for row in found}

    async def all(self) -> list[dict[str, Any]]:
        """Every row, its JSON read."""
        rows = [dict(row) for row in await self.fetch("select * from public.prebookings order by created_at, id")]
        for row in rows:
            for column in ("booking_data", "result", "shots"):
                row[column] = json.loads(row[column]) if row[column] is not None else None
        return rows

    async def record_sessions(self) -> None:
        """From now on it is written down what the sessions were."""
        async with self._line:
            connection = await asyncpg.connect(self._url)
            try:
                await connection.execute(_RECORD_SESSIONS)
            finally:
                await connection.close()

    async def stored_sessions(self) -> list[Stored]:
        """All that they were, in order."""
        found = await self.fetch("select email, token, cookies, marked_dead, at from session_log.sessions order by id")
        return [_stored(one) for one in found]

    async def sign_in_tries(self) -> list[Try]:
        """All that were counted, those that a success has cleared included."""
        found = await self.fetch("select account, own, at from session_log.tries order by at")
        return [Try(one["account"], one["own"], one["at"].timestamp()) for one in found]

    async def remembered(self) -> dict[str, bool]:
        """By e-mail: whether the password is."""
        found = await self.fetch("select user_email, password is not null as kept from prebooking.accounts")
        return {one["user_email"]: one["kept"] for one in found}

    async def with_dead_sessions(self) -> list[str]:
        """The members whose session the service found dead."""
        found = await self.fetch(
            "select user_email from public.auth_sessions where last_token_update_error is not null"
        )
        return [row["user_email"] for row in found]

    async def age_sessions(self, emails: Sequence[str]) -> None:
        """Their tokens are as old as those that nobody has used for an hour."""
        await self.fetch(AGE_SESSIONS, list(emails))

    async def sessions(self) -> dict[str, str]:
        """By member: the token that the database has now."""
        found = await self.fetch("select user_email, aimharder_token from public.auth_sessions")
        return {row["user_email"]: open_token(_VAULT, row["aimharder_token"], row["user_email"]) for row in found}

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


def cookies_of(stored: str, email: str) -> list[dict[str, str]]:
    """Of a column's JSON, encrypted or not."""
    cookies: list[dict[str, str]] = open_cookies(_VAULT, json.loads(stored), email)
    return cookies


def _stored(row: asyncpg.Record) -> Stored:
    email, token = row["email"], row["token"]
    if token is not None:
        token = open_token(_VAULT, token, email)
    cookies = cookies_of(row["cookies"], email) if row["cookies"] is not None else []
    auth = next((cookie["value"] for cookie in cookies if cookie["name"] == "amhrdrauth"), None)
    return Stored(email, token, auth, bool(row["marked_dead"]), row["at"].timestamp())
