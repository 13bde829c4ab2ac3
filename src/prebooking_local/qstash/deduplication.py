"""Remembers for ten minutes what was accepted, whatever became of it."""

import hashlib

from prebooking_local.qstash.clock import Clock
from prebooking_local.qstash.order import Order

_WINDOW_S = 600


class Deduplication:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, str]] = {}  # in order of their end

    def message_of(self, order: Order) -> str | None:
        """Returns the id of the message that was accepted for the same within the window."""
        self._forget()
        key = _key(order)
        return self._seen[key][1] if key is not None and key in self._seen else None

    def remember(self, order: Order, message_id: str) -> None:
        if (key := _key(order)) is not None:
            self._seen[key] = (self._clock.time() + _WINDOW_S, message_id)

    def _forget(self) -> None:
        now = self._clock.time()
        while self._seen and self._seen[oldest := next(iter(self._seen))][0] <= now:
            del self._seen[oldest]


def _key(order: Order) -> str | None:
    if order.deduplication_id is not None:
        return "id:" + order.deduplication_id
    if not order.content_based_deduplication:
        return None
    content = repr((order.url, order.body, sorted(order.forwarded)))
    return "content:" + hashlib.sha256(content.encode()).hexdigest()
