"""Who finds no connection to a box tries again: one after the other, and all at once as soon as one has got through."""

import asyncio
import random
from contextlib import suppress

_PAUSE_S = 0.2  # of one alone, on average
_EACH_S = 0.02  # more for each that waits: a try costs this host and that one something


class Reconnects:
    """For all boxes of one process; it holds nothing that matters after a crash."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def pause(self, box: str) -> None:
        """Returns when it is this one's turn to try again, or when another is connected."""
        waiting = self._waiting.setdefault(box, set())
        told = asyncio.get_running_loop().create_future()
        waiting.add(told)
        pause_s = max(_PAUSE_S, _EACH_S * len(waiting)) * random.uniform(0.5, 1.5)  # noqa: S311  # spreads load, guards nothing
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await told
        finally:
            waiting.discard(told)
            if not waiting and self._waiting.get(box) is waiting:
                del self._waiting[box]

    def connected(self, box: str) -> None:
        """The others need wait no longer."""
        for told in self._waiting.get(box, ()):
            if not told.done():
                told.set_result(None)
