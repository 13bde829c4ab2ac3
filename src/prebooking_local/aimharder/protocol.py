"""One connection: stamps what arrives and frames it, and does nothing else before the other sockets are read."""

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Protocol

from prebooking_local.aimharder.framing import Frame, Framer
from prebooking_local.aimharder.moments import Clock

if TYPE_CHECKING:
    from prebooking_local.aimharder.ledger import Entry

# Every read is copied out before the next one begins, so all connections share one buffer; asyncio's own
# reads would allocate 256 KiB each, which three hundred requests at one instant would feel.
_BUFFER = memoryview(bytearray(64 * 1024))
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Desk(Protocol):
    """Where requests are handed in."""

    def connected(self, connection: "Connection") -> None: ...
    def arrived(self, connection: "Connection", frame: Frame) -> None: ...
    def left(self, connection: "Connection", torn: Frame | None) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """`waiting`, `busy` and `serving` belong to the desk: requests of one connection are answered in their order."""

    def __init__(self, number: int, desk: Desk, clock: Clock) -> None:
        self.number = number
        self.waiting: deque[Entry] = deque()
        self.busy = False
        self.serving: Entry | None = None  #: what is not answered yet
        self.last: Entry | None = None  #: the last request that came on it
        self.idle_since = 0.0  #: on the loop's clock
        self.dropped = False  #: nothing comes through any more
        self._desk = desk
        self._clock = clock
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._touch()
        self._desk.connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        now_ns = self._clock()
        self._touch()
        for frame in self._framer.feed(_BUFFER[:nbytes], now_ns):
            self._desk.arrived(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._desk.left(self, self._framer.torn())

    def write(self, payload: bytes) -> bool:
        """Writes the bytes. Returns whether the connection was still open."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(payload)
        self._touch()
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Lets the other side believe that it is still connected."""
        self.dropped = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _touch(self) -> None:
        self.idle_since = asyncio.get_running_loop().time()

    def reset(self) -> None:
        """Ends the connection with a TCP reset; what was not yet sent is lost."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()
