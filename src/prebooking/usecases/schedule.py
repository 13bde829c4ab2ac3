"""Create, cancel, reschedule, retry: the database first, QStash second.

The row is the truth, and its message wakes the service for it: one that could not be ordered or taken back changes no
answer. The sweep orders what is missing, and a message that is delivered for nothing is answered so.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from prebooking.domain.errors import MessagingError, StoreUnavailableError
from prebooking.domain.ports import Clock, Messages, Store
from prebooking.domain.prebooking import Box, Prebooking, Status
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.transitions import Limits, Transition
from prebooking.domain.wished_class import WishedClass
from prebooking.usecases.publishing import PublishCircuitBreaker

_log = structlog.get_logger()


class Scheduler:
    """`address`: where messages are delivered. `for_now` is the local development mode: what is created opens at once.

    `on_scheduled` is called with each new opening.
    """

    def __init__(
        self,
        store: Store,
        messages: Messages,
        orders: PublishCircuitBreaker,
        clock: Clock,
        *,
        address: str,
        max_delay_s: float,
        limits: Limits,
        for_now: bool,
        on_scheduled: Callable[[datetime], None],
    ) -> None:
        self._store = store
        self._messages = messages
        self._orders = orders
        self._clock = clock
        self._address = address
        self._max_delay_s = max_delay_s
        self._limits = limits
        self._for_now = for_now
        self._on_scheduled = on_scheduled

    async def create(
        self,
        prebooking_id: UUID,
        user_email: str,
        box: Box,
        data: Mapping[str, Any],
        at: datetime,
        *,
        starts_at: datetime | None = None,
        time_zone: str | None = None,
        wished: WishedClass | None = None,
        key: UUID | None = None,
    ) -> Transition:
        """`starts_at`: the class's start, `time_zone`: the box's, where they are known. `wished`: its hour and name.

        outcome: created, existing (same wish, same opening), exists (another opening), too_late, too_many.

        Again with the same id or `key` is answered as it was, with the row as it is now, whatever became of it. Asked
        for another opening: exists, or key_reused where the row waits no more; for another wish: key_reused.
        """
        opening = None if self._for_now else at
        created = await self._store.create(
            prebooking_id,
            user_email,
            box,
            data,
            opening,
            limits=self._limits,
            starts_at=starts_at,
            time_zone=time_zone,
            wished=wished,
            key=key,
        )
        return await self._order_message(created) if created.outcome == StoreOutcome.CREATED else created

    async def reschedule(self, prebooking_id: UUID, user_email: str, at: datetime) -> Transition:
        """outcome: rescheduled, not_found, booking_in_progress, already_finished, too_late, too_many."""
        moved = await self._store.reschedule(prebooking_id, user_email, at, limits=self._limits)
        return await self._order_message(moved) if moved.outcome == StoreOutcome.RESCHEDULED else moved

    async def retry(
        self, prebooking_id: UUID, user_email: str, token: UUID, at: datetime | None, key: UUID | None = None
    ) -> Transition:
        """outcome: retried, not_found, exists, not_failed, booking_in_progress, already_finished, too_late,
        too_many. Again with the same token or `key` is answered as it was, as `create` does.
        """
        retried = await self._store.retry(prebooking_id, user_email, token, at, limits=self._limits, key=key)
        return await self._order_message(retried) if retried.outcome == StoreOutcome.RETRIED else retried

    async def cancel(self, prebooking_id: UUID, user_email: str) -> Transition:
        """outcome: cancelled, not_found, booking_in_progress, already_finished."""
        cancelled = await self._store.cancel(prebooking_id, user_email)
        if cancelled.outcome == StoreOutcome.CANCELLED and cancelled.prebooking:
            await self.take_back(cancelled.prebooking)
        return cancelled

    async def order(self, made: Prebooking) -> None:
        """Orders the message of what a series has made."""
        await self._order_message(Transition(outcome=StoreOutcome.CREATED, prebooking=made))

    async def take_back(self, cancelled: Prebooking) -> None:
        """Deletes the message of a prebooking that was cancelled."""
        if cancelled.qstash_schedule_id:
            await self._take_back(cancelled.qstash_schedule_id)

    async def publish(
        self, prebooking: Prebooking, *, delivery_failures: int = 0, readdressed: bool = False
    ) -> Transition:
        """Orders the message of this version and notes it on the row. Raises what the ports raise.

        `readdressed`: the one that it has is ours, for another address.
        """
        async with self._orders.attempt():
            message_id = await self._messages.publish(prebooking, delivery_failures=delivery_failures)
            carried = prebooking.qstash_schedule_id
            if carried and carried != message_id and not readdressed:
                await self._messages.delete(carried)  # the web application's, which would book beside us: it goes first
        attached = await self._store.attach_message(
            prebooking.id, prebooking.version, message_id, address=self._address
        )
        if attached.outcome != StoreOutcome.ATTACHED:  # cancelled or moved meanwhile: it is of no use
            await self._take_back(message_id)
        elif attached.replaced_message_id:
            await self._take_back(attached.replaced_message_id)
        return attached

    async def schedule_sweep(self, every_minutes: int) -> str:
        """Has QStash call the sweep of a host that sleeps between requests; the schedule's id."""
        return await self._messages.schedule_sweep(every_minutes)

    async def _order_message(self, changed: Transition) -> Transition:
        prebooking = changed.prebooking
        if prebooking is None or prebooking.status is not Status.PENDING or prebooking.qstash_schedule_id:
            if changed.replaced_message_id:
                await self._take_back(changed.replaced_message_id)
            return changed  # a repeat: its message was ordered then, or it waits no more
        self._on_scheduled(prebooking.available_at)
        replaced = changed.replaced_message_id
        if prebooking.available_at.timestamp() - self._clock.wall() <= self._max_delay_s:
            try:
                attached = await self.publish(prebooking)
                if attached.outcome == StoreOutcome.ATTACHED and attached.prebooking:
                    replaced = None  # taken back with the attaching
                    # As it was made: by now its delivery may have begun.
                    prebooking = replace(
                        prebooking,
                        qstash_schedule_id=attached.prebooking.qstash_schedule_id,
                        updated_at=attached.prebooking.updated_at,
                    )
            except (MessagingError, StoreUnavailableError) as exc:
                if not (isinstance(exc, MessagingError) and exc.pause):  # else it is logged once for all
                    _log.warning("message_not_scheduled", prebooking_id=str(prebooking.id), reason=str(exc))
        if replaced:
            await self._take_back(replaced)
        return Transition(outcome=changed.outcome, prebooking=prebooking)

    async def _take_back(self, message_id: str) -> None:
        try:
            await self._messages.delete(message_id)
        except MessagingError as exc:
            _log.info("message_not_deleted", message_id=message_id, reason=str(exc))
