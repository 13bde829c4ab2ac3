"""How a connection ends: after an answer, with a refusal, or at once."""

import asyncio
import random
import secrets
import struct
from socket import SO_LINGER, SOL_SOCKET

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from prebooking.server import bounds
from prebooking.server.connection_table import ConnectionTable
from prebooking.server.throttle import Flow
from prebooking.web.problems import Problem


class ClosingConnection(HttpToolsProtocol):
    """Uvicorn's connection, which can refuse what it reads and end without a reset that takes the answer back."""

    table: ConnectionTable
    flow: Flow
    buffered = 0
    authenticated = False
    _read_closed = False  # whether reading has ended for good
    _in_head = True
    _received = 0  # bytes since the last complete response
    _timer: asyncio.TimerHandle | None = None  # closes the connection where the peer does not send in time

    def evict(self) -> None:
        self.connections.discard(self)  # at once: connection_lost comes only in the next turn of the event loop
        self._drop()

    def _end(self, problem: Problem) -> None:
        """Stops reading, and sends the problem where a response is still possible."""
        self._read_closed = True
        self.flow.block_reading()
        if not self._answering:
            if self._in_head:
                self._refuse(problem)
            else:
                self.linger()  # the response was sent already
        elif self._in_head or self.pipeline:  # an earlier request is being answered
            self._ends_with(self.cycle)
        elif self.cycle.response_started:
            self._drop()
        else:
            self.cycle.disconnected = True  # for the application
            self.cycle.message_event.set()
            self._refuse(problem)

    def _ends_with(self, cycle: RequestResponseCycle) -> None:
        """Closes the connection after the response to this request."""
        cycle.keep_alive = False
        cycle.transport = _Lingering(self)  # type: ignore[assignment]  # has all that a cycle calls

    def _refuse(self, problem: Problem) -> None:
        self.transport.write(problem.as_http(secrets.token_hex(8)))
        self.transport.write_eof()
        self.linger()

    def linger(self) -> None:
        """Closes the connection after a few seconds in which nothing is read. Closed at once, the unread bytes would
        make the kernel reset it, so that the response is lost, and the client would reconnect at once.
        """
        self._read_closed = True
        self.flow.block_reading()
        self.url, self.headers = b"", []  # free the memory of an unfinished head
        self.parser = None  # type: ignore[assignment]  # as uvicorn does
        self._received = 0
        self._note_buffered()
        self.table.waits(self)
        self._stop_waiting()
        seconds = random.uniform(0.5, 1.5) * bounds.LINGER_S  # noqa: S311  # no secret
        self._timer = self.loop.call_later(seconds, self._drop)

    def _drop(self) -> None:
        """Resets the connection. An ordinary close would leave what the peer does not read in the kernel, which keeps
        offering it for minutes.
        """
        self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _ended(self) -> bool:
        return self._read_closed or self.transport.is_closing()

    @property
    def _answering(self) -> bool:
        """Whether the last request is being answered, or waits to be."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first
        return cycle is not None and not cycle.response_complete

    def _note_buffered(self) -> None:
        self.table.note_buffered(self, self._received + self.transport.get_write_buffer_size())

    def _wait(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Lingering:
    """The transport of a connection that closes after a response."""

    def __init__(self, connection: ClosingConnection) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.linger
