"""Every connection and every look-up of a name that this process tries, as the interpreter itself reports them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Connections:
    addresses: list[tuple[Any, ...]] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)

    @property
    def elsewhere(self) -> list[tuple[Any, ...]]:
        """What was connected to, and is not this machine by its literal address."""
        return [address for address in self.addresses if address[0] not in ("127.0.0.1", "::1")]


_recording: list[Connections] = []


@contextmanager
def recorded() -> Iterator[Connections]:
    seen = Connections()
    _recording.append(seen)
    try:
        yield seen
    finally:
        _recording.remove(seen)


def _hear(event: str, details: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(details[1], tuple):
        for seen in _recording:
            seen.addresses.append(details[1])
    elif event == "socket.getaddrinfo":
        for seen in _recording:
            seen.lookups.append(str(details[0]))


sys.addaudithook(_hear)
