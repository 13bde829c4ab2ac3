"""The part of the store that reads changed rows."""

from collections.abc import Sequence

from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.adapters.supabase.shapes import PREBOOKINGS
from prebooking.domain.changes import Changes
from prebooking.domain.errors import CursorUnknownError, StoreRefusedError
from prebooking.domain.store_outcomes import StoreOutcome


class SupabaseEvents:
    """See prebooking.domain.ports.EventStore."""

    _rpc: SupabaseRpc

    async def read_changes(
        self,
        since: str | None,
        *,
        until: str | None = None,
        user_emails: Sequence[str] = (),
        after: str | None = None,
        limit: int,
    ) -> Changes:
        try:
            answer = await self._rpc.call(
                "read_changes", since=since, until=until, user_emails=[*user_emails], after=after, limit=limit
            )
        except StoreRefusedError as exc:
            raise CursorUnknownError(str(exc)) from exc
        if answer["outcome"] != StoreOutcome.READ:
            raise CursorUnknownError(f"read_changes: {answer['outcome']}")
        return Changes(answer["cursor"], PREBOOKINGS.validate_python(answer["prebookings"]), answer["next"])
