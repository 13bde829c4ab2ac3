"""Hears of the end of the process when it is announced: an ASGI server tells its app only after the last request."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ANNOUNCEMENTS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_shutdown_signal(told: Callable[[], None]) -> Iterator[None]:
    """Calls `told` in the running loop at the first word of a stop, besides whoever listened before: the server.

    Outside the main thread, where no signal can be heard, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _ANNOUNCEMENTS}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(told)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in _ANNOUNCEMENTS:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
