"""Uvicorn's connection with limits on time and bytes: uvicorn itself waits for ever, for any number of bytes.

The limits hold before the client is authenticated. The body of a request is limited where it is read (requests.py); the
rest of a body that arrives after the response is discarded here.
"""

import asyncio
from socket import SO_RCVBUF, SOL_SOCKET
from typing import NoReturn

from prebooking.server import bounds
from prebooking.server.closing import ClosingConnection
from prebooking.server.connection_table import ConnectionTable
from prebooking.server.throttle import REQUEST_COST, ByteQuota, Flow, Throttle
from prebooking.web.extensions import ABORT, AUTHENTICATED
from prebooking.web.problems import Problem

_READ = bytearray(64 * 1024)  # shared by all connections: each read is parsed before the next


class _OverrunError(Exception):
    """Stops the parser in the middle of the data that has arrived."""


class BoundedConnection(ClosingConnection, asyncio.BufferedProtocol):
    """Closes a connection that does not send its request in time or exceeds a limit, and throttles the others."""

    table = ConnectionTable(most=bounds.MOST_CONNECTIONS - bounds.ROOM, most_buffered=bounds.MOST_BUFFERED)
    throttle = Throttle()

    _arrived = False  # whether the current request has arrived completely
    _headers = 0  # of this head, or of these trailers
    _chunks = _requests = _body = 0  # of this read
    _framing = 0  # bytes since the last complete head or message, without the body
    _rest = 0  # bytes of a body after its response
    _boundary = False  # whether this read completed a head or a message
    _refusal = bounds.NOT_HTTP  # why the parser stopped
    _write_timer: asyncio.TimerHandle | None = None  # runs while the peer has not read what was written

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.quota = ByteQuota(self.loop.time())
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, bounds.UNREAD_IN_KERNEL)
        transport.set_write_buffer_limits(0)  # so that pause_writing is called for every unsent byte
        self.table.add(self)
        self._wait(bounds.SLOWEST_HEAD_S)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  # asyncio's
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(memoryview(_READ)[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        if self._ended():
            return
        self._chunks = self._requests = self._body = 0
        self._boundary = False
        super().data_received(data)  # type: ignore[arg-type]  # the parser takes both
        if self._ended():
            return
        self._framing = 0 if self._boundary else self._framing + len(data) - self._body
        if self._framing > bounds.LARGEST_HEAD:
            self._end(bounds.HEAD_TOO_LARGE if self._in_head else bounds.FRAMING_TOO_LARGE)
            return
        if self._answering:
            self._received += len(data)
        else:
            self._received = self._framing
            # Uvicorn has stopped its own timer.
            self._wait(bounds.SLOWEST_HEAD_S if self._in_head else bounds.SLOWEST_REST_S)
        self._note_buffered()
        if not self.throttle.admits(self, len(data) + REQUEST_COST * self._requests):
            self.flow.block_reading()
            self.throttle.queue(self, self._requests)

    def connection_lost(self, exc: Exception | None) -> None:
        self.table.remove(self)
        self._stop_waiting()
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(bounds.SLOWEST_READER_S, self._drop)
        self._note_buffered()
        self.table.waits(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()
        self._note_buffered()
        if self._answering and self._arrived:
            self.table.works(self)

    # Callbacks of the parser; an exception stops it.
    def on_message_begin(self) -> None:
        if self._answering and len(self.pipeline) >= bounds.MOST_PIPELINED:
            self._overrun(bounds.PIPELINE_FULL)
        self._in_head, self._headers = True, 0
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"call": self._drop}, AUTHENTICATED: {"call": self._on_authenticated}}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        if self._headers > bounds.MOST_HEADERS:
            self._overrun(bounds.HEAD_TOO_LARGE if self._in_head else bounds.FRAMING_TOO_LARGE)
        if self._in_head:  # nobody reads trailers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()
        self._boundary, self._in_head, self._arrived, self._headers = True, False, False, 0
        self._requests += 1
        self._rest = 0
        if self.expect_100_continue:
            self._ends_with(self.cycle)  # the client may or may not send the body after this response

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        if self._chunks > bounds.MOST_CHUNKS:
            self._overrun(bounds.CHUNKS_TOO_SMALL)
        self._body += len(body)
        super().on_body(body)
        if not self._answering:
            self._rest += len(body)
            if self._rest > bounds.LARGEST_REST:
                self._drop()
        elif len(self.cycle.body) > bounds.MOST_UNREAD:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop_waiting()
        self._boundary = self._in_head = True
        self._arrived = True
        if self._answering:
            self.table.works(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._answering or self._ended():  # the next response has begun, or there is none
            return
        self._received = self._framing
        self._note_buffered()
        self.table.waits(self)
        if not self._arrived:
            self._wait(bounds.SLOWEST_REST_S)
        elif self._framing:
            self._wait(bounds.SLOWEST_HEAD_S)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn calls it whenever the parser fails
        self._end(self._refusal)

    # Called by the throttle and by the application.
    def read_on(self) -> None:
        if not self._read_closed:
            self.flow.unblock_reading()

    def _on_authenticated(self) -> None:
        self.authenticated = True
        self.quota.clear()
        self.read_on()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _overrun(self, problem: Problem) -> NoReturn:
        self._refusal = problem
        raise _OverrunError
