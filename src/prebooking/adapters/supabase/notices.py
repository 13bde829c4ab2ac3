"""The part of the store with the notices to users."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import TypeAdapter

from prebooking.adapters.supabase.capabilities import CAPABILITIES
from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.notices import Notice
from prebooking.domain.store_outcomes import StoreOutcome

_NOTICES = TypeAdapter(list[Notice])


class SupabaseNotices:
    """See prebooking.domain.ports.NoticeStore."""

    _rpc: SupabaseRpc

    async def take_notices(self) -> Sequence[Notice]:
        return _NOTICES.validate_python((await self._rpc.call("take_notices", capabilities=CAPABILITIES))["notices"])

    async def mark_sent(self, notice_id: UUID, message_id: str) -> None:
        await self._rpc.call("note_told", id=notice_id, message_id=message_id)

    async def note_notice_failure(self, message_id: str, reason: str) -> StoreOutcome:
        answer = await self._rpc.call("note_untold", message_id=message_id, reason=reason)
        return StoreOutcome(answer["outcome"])
