"""Paces connection attempts to a box that accepts none: one at a time, and all at once as soon as one has succeeded."""

import asyncio
import random
from contextlib import suppress

_PAUSE_S = 0.2  # on average, where a single execution waits
_EACH_S = 0.02  # per waiting execution: an attempt costs both hosts something


class Reconnects:
    """The attempts of one process, for all boxes. Its state does not matter after a crash."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def pause(self, box: str) -> None:
        """Waits until this execution may try again, or another one has connected."""
        waiting = self._waiting.setdefault(box, set())
        connected = asyncio.get_running_loop().create_future()
        waiting.add(connected)
        pause_s = max(_PAUSE_S, _EACH_S * len(waiting)) * random.uniform(0.5, 1.5)  # noqa: S311  # spreads load, guards nothing
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await connected
        finally:
            waiting.discard(connected)
            if not waiting and self._waiting.get(box) is waiting:
                del self._waiting[box]

    def connected(self, box: str) -> None:
        """Ends all pauses for this box."""
        for connected in self._waiting.get(box, ()):
            if not connected.done():
                connected.set_result(None)
