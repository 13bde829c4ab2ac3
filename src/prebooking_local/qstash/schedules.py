"""Schedules: orders that are accepted anew each time their cron expression comes round."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from prebooking_local.qstash.agenda import Agenda
from prebooking_local.qstash.broker import Broker
from prebooking_local.qstash.clock import Clock
from prebooking_local.qstash.cron import Cron, parse_cron
from prebooking_local.qstash.message import State
from prebooking_local.qstash.order import Order
from prebooking_local.qstash.refusal import RefusedError
from prebooking_local.qstash.views import settings_view, text_or_base64

_SCHEDULE_ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclass
class Schedule:
    id: str
    order: Order
    expression: str
    cron: Cron
    created_at: float
    next_at: float
    last_at: float | None = None
    last_message_id: str | None = None
    paused: bool = False


class Schedules:
    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._schedules: dict[str, Schedule] = {}
        self._agenda: Agenda[Schedule] = Agenda(clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def put(self, order: Order) -> Schedule:
        """Creates the schedule, or replaces the one of the same id."""
        expression = order.setting("upstash-cron")
        if expression is None or order.not_before is not None:
            raise RefusedError(400, "a schedule needs Upstash-Cron and has no Upstash-Not-Before")
        self._broker.check(order)
        schedule_id = order.setting("upstash-schedule-id") or f"scd_{secrets.token_urlsafe(21)}"
        if not _SCHEDULE_ID.fullmatch(schedule_id):
            raise RefusedError(400, f"invalid schedule id: {schedule_id}")
        now = self._clock.time()
        old = self._schedules.get(schedule_id)
        cron = parse_cron(expression)
        schedule = Schedule(
            id=schedule_id,
            order=replace(order, schedule_id=schedule_id),
            expression=expression,
            cron=cron,
            created_at=old.created_at if old else now,
            next_at=cron.next_after(now),
        )
        self._schedules[schedule_id] = schedule
        self._agenda.add(schedule.next_at, schedule)
        return schedule

    def get(self, schedule_id: str) -> Schedule:
        try:
            return self._schedules[schedule_id]
        except KeyError:
            raise RefusedError(404, f"schedule {schedule_id} not found") from None

    def all(self) -> list[Schedule]:
        return list(self._schedules.values())

    def delete(self, schedule_id: str) -> None:
        self.get(schedule_id)
        del self._schedules[schedule_id]

    async def _run(self) -> None:
        while True:
            schedule = await self._agenda.next_due()
            if self._schedules.get(schedule.id) is not schedule:
                continue  # deleted or replaced since
            now = self._clock.time()
            if not schedule.paused:
                schedule.last_at = now
                schedule.last_message_id = self._broker.accept(schedule.order)["messageId"]
            schedule.next_at = schedule.cron.next_after(now)  # what was slept through isn't made up for
            self._agenda.add(schedule.next_at, schedule)

    def view(self, schedule: Schedule) -> dict[str, Any]:
        shown = settings_view(schedule.order)
        view = {
            **shown,
            "destination": shown.pop("url"),
            "retries": shown["maxRetries"],
            "cron": schedule.expression,
            "createdAt": round(schedule.created_at * 1000),
            "isPaused": schedule.paused,
            "nextScheduleTime": round(schedule.next_at * 1000),
            **text_or_base64("body", schedule.order.body),
        }
        if schedule.order.delay_s:
            view["delay"] = schedule.order.delay_s
        if schedule.last_at is not None and schedule.last_message_id is not None:
            view["lastScheduleTime"] = round(schedule.last_at * 1000)
            view["lastScheduleStates"] = {schedule.last_message_id: self._outcome(schedule.last_message_id)}
        return view

    def _outcome(self, message_id: str) -> str:
        if message_id in self._broker.pending:
            return "IN_PROGRESS"
        finished = (message for message in self._broker.finished if message.id == message_id)
        return "SUCCESS" if any(message.state is State.DELIVERED for message in finished) else "FAIL"
