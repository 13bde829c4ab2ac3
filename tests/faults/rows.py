"""The database's ledger, read and written beside the service, through restarts of the server."""

import asyncio
import json
from collections import Counter
from typing import Any

import asyncpg

_PATIENCE_S = 30.0
_FINAL = ("completed", "failed", "cancelled")


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

    async def all(self) -> list[dict[str, Any]]:
        """Every row, its JSON read."""
        rows = [dict(row) for row in await self.fetch("select * from public.prebookings order by created_at, id")]
        for row in rows:
            for column in ("booking_data", "result", "shots"):
                row[column] = json.loads(row[column]) if row[column] is not None else None
        return rows

    async def told_to_sign_in(self) -> list[str]:
        """The members whose session the service found dead."""
        found = await self.fetch(
            "select user_email from public.auth_sessions where last_token_update_error is not null"
        )
        return [row["user_email"] for row in found]

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
