"""The life of a message: accepted, waiting, attempted, and delivered, given up or cancelled."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from prebooking_local.qstash.agenda import Agenda
from prebooking_local.qstash.backoff import wait_before_retry
from prebooking_local.qstash.clock import Clock
from prebooking_local.qstash.dead_letters import DeadLetters
from prebooking_local.qstash.deduplication import Deduplication
from prebooking_local.qstash.delivery import Deliverer
from prebooking_local.qstash.faults import Faults, drawn
from prebooking_local.qstash.flow_control import FlowControl
from prebooking_local.qstash.journal import Journal
from prebooking_local.qstash.message import Attempt, Message, State, new_message
from prebooking_local.qstash.order import CALLBACK, FAILURE_CALLBACK, Order
from prebooking_local.qstash.quota import Quota
from prebooking_local.qstash.refusal import RefusedError
from prebooking_local.qstash.slots import Slots
from prebooking_local.qstash.views import callback_view

_FINISHED_KEPT = 10_000


class Broker:
    def __init__(
        self,
        clock: Clock,
        faults: Faults,
        deliverer: Deliverer,
        *,
        quota: Quota,
        parallelism: int,
        backoff_speed: float,
    ) -> None:
        self.journal = Journal(clock)
        self.dead_letters = DeadLetters()
        self.pending: dict[str, Message] = {}
        self.finished: deque[Message] = deque(maxlen=_FINISHED_KEPT)
        self._clock = clock
        self._faults = faults
        self._deliverer = deliverer
        self._quota = quota
        self._parallelism = parallelism
        self._backoff_speed = backoff_speed
        self._deduplication = Deduplication(clock)
        self._agenda: Agenda[Message] = Agenda(clock)
        self._slots = Slots(parallelism)
        self._flow = FlowControl()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._start(self._dispatch())
        try:
            yield
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def check(self, order: Order) -> None:
        """Refuses what the plan doesn't allow, as measured at receipt."""
        self._quota.check(order, self._clock.time())

    def accept(self, order: Order) -> dict[str, Any]:
        """Returns the answer to a publish."""
        self.check(order)
        if (known := self._deduplication.message_of(order)) is not None:
            return {"messageId": known, "deduplicated": True}
        message = self._enter(order)
        self._deduplication.remember(order, message.id)
        return {"messageId": message.id}

    def get(self, message_id: str) -> Message:
        try:
            return self.pending[message_id]
        except KeyError:
            raise RefusedError(404, f"message {message_id} not found") from None

    def cancel(self, message: Message) -> None:
        """Cancels a message. A delivery under way goes on; it is only not repeated."""
        self.journal.note(message, "CANCEL_REQUESTED")
        message.cancel_requested = True
        if message.state is State.WAITING:
            self._finish(message, State.CANCELLED)

    def heed_faults(self) -> None:
        """Follows the switches that are states rather than events."""
        faults = self._faults
        self._agenda.hold(faults.down is not None and faults.down.value)
        self._slots.resize(faults.parallelism.value if faults.parallelism else self._parallelism)

    def _enter(self, order: Order) -> Message:
        message = new_message(order, self._clock.time())
        self.pending[message.id] = message
        self.journal.note(message, "CREATED", nextDeliveryTime=round(message.not_before * 1000))
        due = message.not_before + (drawn(self._faults.shift_s) or 0.0)
        self._agenda.add(due, message, ahead=drawn(self._faults.ahead) or False)
        return message

    async def _dispatch(self) -> None:
        """Takes a slot first, so that whoever waits for one is still the first in the agenda."""
        while True:
            await self._slots.take()
            message = await self._agenda.next_due()
            if message.state is State.CANCELLED:
                self.journal.note(message, "CANCELED")
                self._slots.give()
            elif self._flow.admits(message):
                self._start(self._attempt(message))
                await asyncio.sleep(0)  # of a crowd at one instant the first leaves before the last is signed
            else:
                self._slots.give()  # it waits for its own kind, and keeps no other waiting

    async def _attempt(self, message: Message) -> None:
        message.state = State.ACTIVE
        self.journal.note(message, "ACTIVE")
        try:
            if drawn(self._faults.lost):
                self._finish(message, State.LOST)
                return
            copies = drawn(self._faults.copies) or 1
            attempts = await asyncio.gather(*(self._deliverer.deliver(message) for _ in range(copies)))
            self._conclude(message, next((one for one in attempts if one.succeeded), attempts[-1]))
        finally:
            self._slots.give()
            if following := self._flow.leaves(message):
                self._agenda.add(self._clock.time(), following)

    def _conclude(self, message: Message, attempt: Attempt) -> None:
        response = {"responseStatus": attempt.status, "responseBody": attempt.body.decode(errors="replace")}
        if attempt.succeeded:
            self._finish(message, State.DELIVERED)
            self.journal.note(message, "DELIVERED", **response)
        else:
            self.journal.note(message, "ERROR", error=attempt.error or f"status {attempt.status}", **response)
            if message.cancel_requested:
                self._finish(message, State.CANCELLED)
                self.journal.note(message, "CANCELED")
            elif attempt.forbids_retry or message.retried >= message.order.retries:
                self._give_up(message, attempt)
            else:
                self._retry_later(message, attempt)
        self._call_back(CALLBACK, message, attempt)

    def _retry_later(self, message: Message, attempt: Attempt) -> None:
        now = self._clock.time()
        message.retried += 1
        message.state = State.WAITING
        wait = wait_before_retry(
            message.retried, message.order.retry_delay, attempt.answer, now=now, speed=self._backoff_speed
        )
        self._agenda.add(now + wait, message)
        self.journal.note(message, "RETRY", nextDeliveryTime=round((now + wait) * 1000))

    def _give_up(self, message: Message, attempt: Attempt) -> None:
        self._finish(message, State.FAILED)
        self.journal.note(message, "FAILED")
        letter_id = self.dead_letters.add(message, attempt, self._clock.time())
        self._call_back(FAILURE_CALLBACK, message, attempt, dlqId=letter_id)

    def _call_back(self, kind: str, message: Message, attempt: Attempt, **more: str) -> None:
        if message.order.setting(kind) is not None:
            body = json.dumps(callback_view(message, attempt) | more).encode()
            self._enter(message.order.callback(kind, body))

    def _finish(self, message: Message, state: State) -> None:
        message.state = state
        del self.pending[message.id]
        self.finished.append(message)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # a bug here is to be seen: the loop reports what a callback raises
