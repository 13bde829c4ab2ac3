"""A message on its way, and each attempt to deliver it."""

import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from prebooking_local.qstash.courier import Answer
from prebooking_local.qstash.order import Order

_NON_RETRYABLE = 489


class State(StrEnum):
    WAITING = "waiting"
    ACTIVE = "active"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass
class Attempt:
    retried: int
    sent_at: float
    answered_at: float | None = None
    answer: Answer | None = None
    error: str | None = None

    @property
    def status(self) -> int:
        """Returns the status; 0 if no answer came."""
        return self.answer.status if self.answer else 0

    @property
    def body(self) -> bytes:
        """Returns the answer's body, or in its place what went wrong."""
        return self.answer.body if self.answer else (self.error or "").encode()

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def forbids_retry(self) -> bool:
        if self.answer is None or self.status != _NON_RETRYABLE:
            return False
        return (self.answer.header("upstash-nonretryable-error") or "").lower() == "true"


@dataclass
class Message:
    id: str
    order: Order
    created_at: float
    not_before: float
    retried: int = 0
    state: State = State.WAITING
    cancel_requested: bool = False
    attempts: list[Attempt] = field(default_factory=list)


def new_message(order: Order, now: float) -> Message:
    return Message(f"msg_{secrets.token_urlsafe(21)}", order, created_at=now, not_before=order.due_at(now))
