"""The part of the store with the history of prebookings."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import TypeAdapter

from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.history import HistoryEvent
from prebooking.domain.store_outcomes import StoreOutcome

_EVENTS = TypeAdapter(list[HistoryEvent])


class SupabaseHistory:
    """See prebooking.domain.ports.HistoryStore."""

    _rpc: SupabaseRpc

    async def read_history(self, prebooking_id: UUID, user_email: str) -> Sequence[HistoryEvent] | None:
        answer = await self._rpc.call("read_history", id=prebooking_id, user_email=user_email)
        return _EVENTS.validate_python(answer["events"]) if answer["outcome"] == StoreOutcome.READ else None
