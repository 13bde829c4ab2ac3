"""What happened to each message: the log of the API."""

from collections import deque
from typing import Any

from prebooking_local.qstash.clock import Clock
from prebooking_local.qstash.message import Message
from prebooking_local.qstash.views import settings_view

_KEPT = 20_000


class Journal:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: deque[tuple[float, Message, str, dict[str, Any]]] = deque(maxlen=_KEPT)

    def note(self, message: Message, state: str, **details: Any) -> None:
        self._events.appendleft((self._clock.time(), message, state, details))

    def newest_first(self) -> list[dict[str, Any]]:
        return [
            {"time": round(at * 1000), "messageId": message.id, "state": state} | settings_view(message.order) | details
            for at, message, state, details in self._events
        ]
