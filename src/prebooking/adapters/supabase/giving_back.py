"""The part of the store that gives booked places back."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prebooking.adapters.supabase.sessions import SupabaseSessions
from prebooking.adapters.supabase.shapes import PREBOOKING, TRANSITION
from prebooking.domain.giving_back import GivingBack
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.transitions import Transition


class SupabaseGivingBack(SupabaseSessions):
    """See prebooking.domain.ports.GivingBackStore."""

    async def begin_giving_back(
        self, prebooking_id: UUID, user_email: str, token: UUID, *, lease_s: float
    ) -> GivingBack:
        answer = await self._rpc.call(
            "begin_giving_back", id=prebooking_id, user_email=user_email, token=token, lease_seconds=lease_s
        )
        return self._giving_back(answer)

    async def end_giving_back(self, prebooking_id: UUID, token: UUID, *, given_back: bool | None) -> Transition:
        answer = await self._rpc.call("end_giving_back", id=prebooking_id, token=token, given_back=given_back)
        return TRANSITION.validate_python(answer)

    async def take_given_back(self, token: UUID, *, lease_s: float) -> Sequence[GivingBack]:
        answer = await self._rpc.call("take_given_back", token=token, lease_seconds=lease_s)
        return [self._giving_back(taken) for taken in answer["taken"]]

    def _giving_back(self, answer: Mapping[str, Any]) -> GivingBack:
        row = answer.get("prebooking")
        return GivingBack(
            outcome=StoreOutcome(answer["outcome"]),
            prebooking=None if row is None else PREBOOKING.validate_python(row),
            session=self._read(answer.get("session")),
            absence_is_conclusive=bool(answer.get("absence_counts", False)),
            earlier=bool(answer.get("earlier", False)),
            retry_after=float(answer.get("retry_after", 0.0)),
        )
