"""Create, cancel, reschedule, retry: the database first, QStash second.

The row decides, and its message only wakes the service: a message that could not be scheduled or deleted changes no
answer. The sweep schedules missing messages, and a delivery that is not needed any more is answered 200.
"""

from collections.abc import Callable, Mapping, Sequence
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
    """Changes prebookings and keeps their messages in step.

    `address`: where messages are delivered. `for_now`: the local development mode, in which a new prebooking opens at
    once. `on_scheduled` are called with each new opening.
    """

    def __init__(
        self,
        store: Store,
        messages: Messages,
        breaker: PublishCircuitBreaker,
        clock: Clock,
        *,
        address: str,
        max_delay_s: float,
        limits: Limits,
        for_now: bool,
        on_scheduled: Sequence[Callable[[datetime], None]],
    ) -> None:
        self._store = store
        self._messages = messages
        self._breaker = breaker
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
        """Creates a prebooking, and schedules its message.

        Outcomes: created, existing (same wish, same opening), exists (same wish, another opening), too_late, too_many.

        A repeat with the same id or `key` returns the first outcome with the current row. With another opening it
        returns exists, or key_reused if the row is not pending any more; with another wish, key_reused.

        `starts_at`: the start of the class, if known. `time_zone`: that of the box, if known. `wished`: the class by
        its hour and name.
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
        return await self._schedule_message(created) if created.outcome == StoreOutcome.CREATED else created

    async def reschedule(self, prebooking_id: UUID, user_email: str, at: datetime) -> Transition:
        """Outcomes: rescheduled, not_found, booking_in_progress, already_finished, too_late, too_many."""
        moved = await self._store.reschedule(prebooking_id, user_email, at, limits=self._limits)
        return await self._schedule_message(moved) if moved.outcome == StoreOutcome.RESCHEDULED else moved

    async def retry(
        self, prebooking_id: UUID, user_email: str, token: UUID, at: datetime | None, key: UUID | None = None
    ) -> Transition:
        """Outcomes: retried, not_found, exists, not_failed, booking_in_progress, already_finished, too_late, too_many.

        A repeat with the same token or `key` is answered as by `create`.
        """
        retried = await self._store.retry(prebooking_id, user_email, token, at, limits=self._limits, key=key)
        return await self._schedule_message(retried) if retried.outcome == StoreOutcome.RETRIED else retried

    async def cancel(self, prebooking_id: UUID, user_email: str) -> Transition:
        """Outcomes: cancelled, not_found, booking_in_progress, already_finished."""
        cancelled = await self._store.cancel(prebooking_id, user_email)
        if cancelled.outcome == StoreOutcome.CANCELLED and cancelled.prebooking:
            await self.delete_message(cancelled.prebooking)
        return cancelled

    async def schedule_message(self, made: Prebooking) -> None:
        """Schedules the message of a prebooking that a series has made."""
        await self._schedule_message(Transition(outcome=StoreOutcome.CREATED, prebooking=made))

    async def delete_message(self, cancelled: Prebooking) -> None:
        """Deletes the message of a cancelled prebooking."""
        if cancelled.qstash_schedule_id:
            await self._delete_message(cancelled.qstash_schedule_id)

    async def publish(
        self, prebooking: Prebooking, *, delivery_failures: int = 0, readdressed: bool = False
    ) -> Transition:
        """Schedules the message of this version and notes it on the row. Raises as the ports do.

        `readdressed`: the row has a message of this service, for an earlier address.
        """
        async with self._breaker.attempt():
            message_id = await self._messages.publish(prebooking, delivery_failures=delivery_failures)
            carried = prebooking.qstash_schedule_id
            if carried and carried != message_id and not readdressed:
                await self._messages.delete(carried)  # the web application's, which would book too
        attached = await self._store.attach_message(
            prebooking.id, prebooking.version, message_id, address=self._address
        )
        if attached.outcome != StoreOutcome.ATTACHED:  # cancelled or rescheduled meanwhile
            await self._delete_message(message_id)
        elif attached.replaced_message_id:
            await self._delete_message(attached.replaced_message_id)
        return attached

    async def schedule_sweep(self, every_minutes: int) -> str:
        """Has QStash call the sweep of a host that sleeps between requests. Returns the schedule's id."""
        return await self._messages.schedule_sweep(every_minutes)

    async def _schedule_message(self, changed: Transition) -> Transition:
        prebooking = changed.prebooking
        if prebooking is None or prebooking.status is not Status.PENDING or prebooking.qstash_schedule_id:
            if changed.replaced_message_id:
                await self._delete_message(changed.replaced_message_id)
            return changed  # a repeat: its message was scheduled then, or it is not pending any more
        for told in self._on_scheduled:
            told(prebooking.available_at)
        replaced = changed.replaced_message_id
        if prebooking.available_at.timestamp() - self._clock.wall() <= self._max_delay_s:
            try:
                attached = await self.publish(prebooking)
                if attached.outcome == StoreOutcome.ATTACHED and attached.prebooking:
                    replaced = None  # `publish` has deleted it
                    # The row as it was created: by now its delivery may have begun.
                    prebooking = replace(
                        prebooking,
                        qstash_schedule_id=attached.prebooking.qstash_schedule_id,
                        updated_at=attached.prebooking.updated_at,
                    )
            except (MessagingError, StoreUnavailableError) as exc:
                if not (isinstance(exc, MessagingError) and exc.pause):  # else logged once for all messages
                    _log.warning("message_not_scheduled", prebooking_id=str(prebooking.id), reason=str(exc))
        if replaced:
            await self._delete_message(replaced)
        return Transition(outcome=changed.outcome, prebooking=prebooking)

    async def _delete_message(self, message_id: str) -> None:
        try:
            await self._messages.delete(message_id)
        except MessagingError as exc:
            _log.info("message_not_deleted", message_id=message_id, reason=str(exc))
