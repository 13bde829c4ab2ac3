"""What a plan allows a message."""

from dataclasses import dataclass

from prebooking_local.qstash.order import Order
from prebooking_local.qstash.refusal import RefusedError


@dataclass(frozen=True)
class Quota:
    max_delay_s: int = 604_800
    max_retries: int = 5

    def check(self, order: Order, now: float) -> None:
        if order.due_at(now) - now > self.max_delay_s:
            raise RefusedError(400, f"quota maxDelay exceeded, current limit: {self.max_delay_s}")
        if order.retries > self.max_retries:
            raise RefusedError(400, f"quota maxRetries exceeded, current limit: {self.max_retries}")
