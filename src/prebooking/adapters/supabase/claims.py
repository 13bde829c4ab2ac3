"""The part of the store that makes and renews claims, and records begins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from prebooking.adapters.supabase.capabilities import CAPABILITIES
from prebooking.adapters.supabase.sessions import SupabaseSessions
from prebooking.adapters.supabase.shapes import TRANSITION
from prebooking.concurrency.priority_semaphore import Priority
from prebooking.domain.claims import Claim, ClaimKey
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.transitions import Transition

_CLAIM_S = 1.5  # for all tries of a claim together
_RENEW_S = 1.5  # the next renewal comes soon

_CLAIM = TypeAdapter(Claim)


class SupabaseClaims(SupabaseSessions):
    """See prebooking.domain.ports.Store. `claim` also returns the user's session."""

    async def claim(
        self,
        prebooking_id: UUID,
        token: UUID,
        version: int | None,
        *,
        horizon_s: float,
        max_attempts: int,
        lease_s: float,
    ) -> Claim | Transition:
        answer = await self._rpc.call(
            "claim_prebooking",
            priority=Priority.CLAIM,
            within_s=_CLAIM_S,
            queue_s=None,  # a thousand others may be ahead; the caller has a timeout
            id=prebooking_id,
            token=token,
            version=version,
            horizon_seconds=horizon_s,
            max_attempts=max_attempts,
            lease_seconds=lease_s,
            capabilities=CAPABILITIES,
        )
        if answer["outcome"] != StoreOutcome.CLAIMED:
            return TRANSITION.validate_python(answer)
        return _CLAIM.validate_python(answer | {"session": self._read(answer["session"])})

    async def renew(self, keys: Sequence[ClaimKey], *, lease_s: float) -> Mapping[UUID, Transition]:
        answer = await self._rpc.call(
            "renew_claims",
            priority=Priority.PREPARE,
            within_s=_RENEW_S,
            queue_s=_RENEW_S,
            ids=[str(key.prebooking_id) for key in keys],
            tokens=[str(key.token) for key in keys],
            lease_seconds=lease_s,
        )
        return {UUID(lost["token"]): TRANSITION.validate_python(lost) for lost in answer["lost"]}

    async def begin(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        lease_s: float,
        max_attempts: int,
        settled: bool,
        starts_at: datetime | None = None,
        book_until_minutes: float = 0.0,
        learnt: Mapping[str, Any],
        absent: bool = False,
    ) -> Transition:
        known: dict[str, Any] = {"class": dict(learnt)}
        answer = await self._rpc.call(
            "begin_booking",
            priority=Priority.PREPARE,
            id=prebooking_id,
            token=token,
            lease_seconds=lease_s,
            max_attempts=max_attempts,
            settled=settled,
            starts_at=starts_at,
            book_until_minutes=book_until_minutes,
            absent=absent,
            **known,
        )
        return TRANSITION.validate_python(answer)
