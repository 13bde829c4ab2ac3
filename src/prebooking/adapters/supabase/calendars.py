"""The part of the store with the users' calendars."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.calendars import CalendarEntry
from prebooking.domain.store_outcomes import StoreOutcome

_ENTRIES = TypeAdapter(list[CalendarEntry])


class SupabaseCalendars:
    """See prebooking.domain.ports.CalendarStore."""

    _rpc: SupabaseRpc

    async def make_calendar(self, user_email: str, secret_hash: str, *, sub: str | None) -> bool:
        answer = await self._rpc.call("make_calendar", user_email=user_email, secret_hash=secret_hash, sub=sub)
        return bool(answer["outcome"] == StoreOutcome.MADE)

    async def end_calendar(self, user_email: str) -> None:
        await self._rpc.call("end_calendar", user_email=user_email)

    async def read_calendar(self, secret_hash: str) -> Sequence[CalendarEntry] | None:
        answer = await self._rpc.call("read_calendar", secret_hash=secret_hash)
        return None if answer["outcome"] == StoreOutcome.NOT_FOUND else _ENTRIES.validate_python(answer["entries"])
