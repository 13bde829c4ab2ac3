"""The database's clock set back, so that hours pass in seconds: it alone decides when a session is looked at."""

import asyncpg

#: What is stamped by a default, and not by the functions, which ask the one clock.
_STAMPED = (("public.prebookings", "created_at"), ("public.auth_sessions", "created_at"))


class DatabaseClock:
    """The clock of a whole database, whoever is connected. All other clocks stay right."""

    def __init__(self, database: asyncpg.Connection) -> None:
        self._database = database
        self.behind_s = 0.0

    async def set_back(self, seconds: float) -> None:
        """From now on it is behind by that."""
        await self._define(f"select pg_catalog.clock_timestamp() - interval '{seconds:f} seconds'")
        await self._stamp_by("prebooking.now()")
        self.behind_s = seconds

    async def restore(self) -> None:
        """As the migrations have it."""
        await self._define("select pg_catalog.clock_timestamp()")
        await self._stamp_by("now()")
        self.behind_s = 0.0

    async def _define(self, body: str) -> None:
        await self._database.execute(
            f"create or replace function prebooking.now() returns timestamptz language sql volatile as $$ {body} $$"
        )

    async def _stamp_by(self, clock: str) -> None:
        for table, column in _STAMPED:
            await self._database.execute(f"alter table {table} alter column {column} set default {clock}")
