"""The store: each method is one call of one SQL function, which is guarded and uses the database's clock."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from prebooking.adapters.supabase.calendars import SupabaseCalendars
from prebooking.adapters.supabase.capabilities import CAPABILITIES
from prebooking.adapters.supabase.claims import SupabaseClaims
from prebooking.adapters.supabase.email_owners import SupabaseOwners
from prebooking.adapters.supabase.events import SupabaseEvents
from prebooking.adapters.supabase.giving_back import SupabaseGivingBack
from prebooking.adapters.supabase.history import SupabaseHistory
from prebooking.adapters.supabase.notices import SupabaseNotices
from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.adapters.supabase.series import SupabaseSeries
from prebooking.adapters.supabase.session_vault import SessionVault
from prebooking.adapters.supabase.shapes import PREBOOKINGS, TRANSITION
from prebooking.adapters.supabase.sign_ins import SupabaseSignIns
from prebooking.concurrency.priority_semaphore import Priority
from prebooking.domain.prebooking import Box, Page, Prebooking
from prebooking.domain.sweep_result import NeedsMessage, SweepResult
from prebooking.domain.transitions import Limits, Transition
from prebooking.domain.wished_class import WishedClass

_SWEEP_RESULT = TypeAdapter(SweepResult)


@asynccontextmanager
async def open_store(
    url: str, key: str, instance_id: str, vault: SessionVault | None = None
) -> AsyncIterator["SupabaseStore"]:
    """Opens the store of a replica. Without a vault, sessions are stored unencrypted."""
    async with open_rpc(url, key, instance_id) as rpc:
        yield SupabaseStore(rpc, vault or SessionVault())


class SupabaseStore(
    SupabaseSignIns,
    SupabaseClaims,
    SupabaseEvents,
    SupabaseGivingBack,
    SupabaseNotices,
    SupabaseOwners,
    SupabaseCalendars,
    SupabaseHistory,
    SupabaseSeries,
):
    """See prebooking.domain.ports.Store."""

    async def create(
        self,
        prebooking_id: UUID,
        user_email: str,
        box: Box,
        data: Mapping[str, Any],
        at: datetime | None,
        *,
        limits: Limits,
        starts_at: datetime | None = None,
        time_zone: str | None = None,
        wished: WishedClass | None = None,
        key: UUID | None = None,
    ) -> Transition:
        return await self._transition(
            "create_prebooking",
            id=prebooking_id,
            user_email=user_email,
            box_subdomain=box.subdomain,
            box_aimharder_id=box.aimharder_id,
            booking_data=dict(data),
            available_at=at,
            max_active=limits.active,
            max_per_minute=limits.per_minute,
            starts_at=starts_at,
            time_zone=time_zone,
            key=key,
            box_domain=box.domain,
            **{"class": asdict(wished)} if wished else {},
        )

    async def attach_message(
        self, prebooking_id: UUID, version: int, message_id: str, *, address: str | None = None
    ) -> Transition:
        return await self._transition(
            "attach_message", id=prebooking_id, version=version, message_id=message_id, address=address
        )

    async def cancel(self, prebooking_id: UUID, user_email: str) -> Transition:
        return await self._transition("cancel_prebooking", id=prebooking_id, user_email=user_email)

    async def reschedule(self, prebooking_id: UUID, user_email: str, at: datetime, *, limits: Limits) -> Transition:
        return await self._transition(
            "reschedule_prebooking",
            id=prebooking_id,
            user_email=user_email,
            available_at=at,
            max_per_minute=limits.per_minute,
        )

    async def retry(
        self,
        prebooking_id: UUID,
        user_email: str,
        token: UUID,
        at: datetime | None,
        *,
        limits: Limits,
        key: UUID | None = None,
    ) -> Transition:
        return await self._transition(
            "retry_prebooking",
            id=prebooking_id,
            user_email=user_email,
            token=token,
            available_at=at,
            max_active=limits.active,
            max_per_minute=limits.per_minute,
            key=key,
        )

    async def note_delivery_failure(self, prebooking_id: UUID, version: int, reason: str) -> Transition:
        return await self._transition("note_delivery_failure", id=prebooking_id, version=version, reason=reason)

    async def list(
        self,
        user_email: str,
        *,
        prebooking_id: UUID | None = None,
        status: str | None = None,
        box_subdomain: str | None = None,
        limit: int = 1,
        before: Page | None = None,
    ) -> Sequence[Prebooking]:
        answer = await self._rpc.call(
            "list_prebookings",
            user_email=user_email,
            id=prebooking_id,
            status=status,
            box_subdomain=box_subdomain,
            limit=limit,
            before_created_at=before and before.created_at,
            before_id=before and before.id,
        )
        return PREBOOKINGS.validate_python(answer["prebookings"])

    async def finish(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        success: bool,
        outcome: str,
        message: str,
        result: Mapping[str, Any],
    ) -> Transition:
        return await self._transition(
            "finish_booking",
            priority=Priority.RESULT,
            id=prebooking_id,
            token=token,
            success=success,
            outcome=outcome,
            message=message,
            result=dict(result),
        )

    async def release(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        outcome: str | None,
        message: str | None,
        shots: Sequence[Mapping[str, Any]],
        retry_s: float,
        graceful: bool,
        settled: bool,
    ) -> Transition:
        return await self._transition(
            "release_prebooking",
            priority=Priority.RESULT,
            id=prebooking_id,
            token=token,
            outcome=outcome,
            message=message,
            shots=[dict(shot) for shot in shots],
            retry_seconds=retry_s,
            graceful=graceful,
            settled=settled,
        )

    async def park(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        outcome: str | None,
        message: str | None,
        shots: Sequence[Mapping[str, Any]],
        retry_s: float | None,
    ) -> Transition:
        return await self._transition(
            "park_prebooking",
            priority=Priority.RESULT,
            id=prebooking_id,
            token=token,
            outcome=outcome,
            message=message,
            shots=[dict(shot) for shot in shots],
            retry_seconds=retry_s,
        )

    async def sweep(
        self, *, lead_s: float, max_delay_s: float, address: str | None = None, per_minute: int | None = None
    ) -> SweepResult:
        answer = await self._rpc.call(
            "sweep_prebookings",
            priority=Priority.CLAIM,
            lead_seconds=lead_s,
            max_delay_seconds=max_delay_s,
            address=address,
            max_per_minute=per_minute,
            capabilities=CAPABILITIES,
        )
        rows = PREBOOKINGS.validate_python(answer["publish"])
        publish = tuple(
            NeedsMessage(prebooking=row, delivery_failures=found["delivery_failures"], readdressed=found["readdressed"])
            for row, found in zip(rows, answer["publish"], strict=True)
        )
        return _SWEEP_RESULT.validate_python(answer | {"publish": publish})

    async def remove_old(self, *, days: int) -> tuple[int, bool]:
        answer = await self._rpc.call("remove_old_prebookings", days=days)
        return int(answer["removed"]), bool(answer["more"])

    async def note_ping(self, ping_id: UUID) -> None:
        await self._rpc.call("note_ping", id=ping_id)

    async def check(self) -> None:
        await self._rpc.call("sweep_prebookings", lead_seconds=0, max_delay_seconds=0, limit=1)

    async def _transition(self, function: str, **arguments: Any) -> Transition:
        return TRANSITION.validate_python(await self._rpc.call(function, **arguments))
