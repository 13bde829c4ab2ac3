"""A connection of which nothing is without a bound: uvicorn itself waits for ever, for any number of bytes.

All of it counts before anybody knows who asks. The body of a request is limited where it is read (requests.py); what
still comes of it after the answer is discarded here.
"""

import asyncio
import random
import secrets
import struct
from socket import SO_LINGER, SO_RCVBUF, SOL_SOCKET
from typing import NoReturn

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from prebooking.server.connection_table import ConnectionTable
from prebooking.server.throttle import REQUEST_COST, Account, Flow, Throttle
from prebooking.web.extensions import ABORT, AUTHENTICATED
from prebooking.web.problems import Problem

LARGEST_HEAD = 32 * 1024  # and as much for what frames a body: chunks' heads, extensions, trailers
MOST_HEADERS = 100
MOST_PIPELINED = 2  # requests behind the one that is being answered
MOST_CHUNKS = 2048  # within one read
MOST_UNREAD = 16 * 1024  # of a body that the application has not taken yet, and what one read brings more
LARGEST_REST = 256 * 1024 * 1024  # of a body that came after its answer
SLOWEST_HEAD_S = 10.0
SLOWEST_REST_S = 30.0
SLOWEST_READER_S = 20.0  # to take what is written, all of it
LINGER_S = 2.0  # more or less, so that not all of a crowd end at one instant

MOST_CONNECTIONS = 3000  # held deliveries (1,000 and more), their senders' idle connections and the users' all count
ROOM = 100  # kept free by evicting who waits: uvicorn refuses all requests at the limit
MOST_HELD = 16 * 1024 * 1024  # bytes, of all connections

_UNREAD_IN_KERNEL = 64 * 1024  # bytes of a connection, which would grow to megabytes
_READ = bytearray(64 * 1024)  # at most so much is read at once; one for all: it is parsed before anybody else reads

_HEAD = Problem(
    431, f"The head of the request is larger than {LARGEST_HEAD} bytes, or has more than {MOST_HEADERS} headers."
)
_FRAMING = Problem(413, f"Chunks and trailers of the body take more than {LARGEST_HEAD} bytes beside it.")
_CHUNKS = Problem(413, "The body comes in chunks that are too small.")
_PIPELINE = Problem(429, "Too many requests were sent before the first was answered.", code="too-many")
_NO_HTTP = Problem(400, "This is not HTTP.", code="malformed-request")


class _OverrunError(Exception):
    """Ends the parsing at once, in the middle of what has arrived."""


class BoundedConnection(HttpToolsProtocol, asyncio.BufferedProtocol):
    """Closes what does not become a request in time, or never ends; what does gets its share, and no more."""

    table = ConnectionTable(most=MOST_CONNECTIONS - ROOM, most_held=MOST_HELD)
    throttle = Throttle()

    flow: Flow
    held = 0
    known = False
    _deaf = False  # what comes is not read any more
    _arrived = False  # the request that is under way, completely
    _in_head = True
    _headers = _chunks = _requests = _body = 0  # of this head or these trailers; of this read
    _framing = 0  # bytes since the last head or message was complete, but for the body
    _received = 0  # bytes since the last answer was complete
    _rest = 0  # bytes of a body after its answer
    _boundary = False  # whether this read completed a head or a message
    _refusal = _NO_HTTP  # why the parser stopped
    _patience: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None  # for the peer, as long as it has not taken what is written

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.account = Account(self.loop.time())
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, _UNREAD_IN_KERNEL)
        transport.set_write_buffer_limits(0)  # so that it is told of all that is not sent
        self.table.add(self)
        self._wait(SLOWEST_HEAD_S)

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
        if self._framing > LARGEST_HEAD:
            self._end(_HEAD if self._in_head else _FRAMING)
            return
        if self._answering:
            self._received += len(data)
        else:
            self._received = self._framing
            self._wait(SLOWEST_HEAD_S if self._in_head else SLOWEST_REST_S)  # uvicorn has switched its own off
        self._note_held()
        if not self.throttle.admits(self, len(data) + REQUEST_COST * self._requests):
            self.flow.bar()
            self.throttle.queue(self, self._requests)

    def connection_lost(self, exc: Exception | None) -> None:
        self.table.remove(self)
        self._stop_waiting()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(SLOWEST_READER_S, self._drop)
        self._note_held()
        self.table.waits(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()
        self._note_held()
        if self._answering and self._arrived:
            self.table.works(self)

    # What the parser tells; an exception ends its work at once.
    def on_message_begin(self) -> None:
        if self._answering and len(self.pipeline) >= MOST_PIPELINED:
            self._overrun(_PIPELINE)
        self._in_head, self._headers = True, 0
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"call": self._drop}, AUTHENTICATED: {"call": self._authenticated}}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        if self._headers > MOST_HEADERS:
            self._overrun(_HEAD if self._in_head else _FRAMING)
        if self._in_head:  # trailers are nobody's
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()
        self._boundary, self._in_head, self._arrived, self._headers = True, False, False, 0
        self._requests += 1
        self._rest = 0
        if self.expect_100_continue:
            self._ends_with(self.cycle)  # whether a body follows its answer can't be told

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        if self._chunks > MOST_CHUNKS:
            self._overrun(_CHUNKS)
        self._body += len(body)
        super().on_body(body)
        if not self._answering:
            self._rest += len(body)
            if self._rest > LARGEST_REST:
                self._drop()
        elif len(self.cycle.body) > MOST_UNREAD:
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
        if self._answering or self._ended():  # the next one's answer has begun, or there is no next one
            return
        self._received = self._framing
        self._note_held()
        self.table.waits(self)
        if not self._arrived:
            self._wait(SLOWEST_REST_S)
        elif self._framing:
            self._wait(SLOWEST_HEAD_S)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's, for all that the parser refuses
        self._end(self._refusal)

    # What the table, the throttle and the application ask for.
    def evict(self) -> None:
        self.connections.discard(self)  # at once: its loss is noticed after this turn of the event loop
        self._drop()

    def take_turn(self) -> None:
        if not self._deaf:
            self.flow.unbar()

    def _authenticated(self) -> None:
        self.known = True
        self.account.clear()
        self.take_turn()

    def _drop(self) -> None:
        """A peer that reads nothing can't be told so; an ordinary close would leave what it doesn't read in the kernel,
        which offers it for minutes.
        """
        self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _ended(self) -> bool:
        return self._deaf or self.transport.is_closing()

    @property
    def _answering(self) -> bool:
        """Whether the last request that came is being answered, or waits for it."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first
        return cycle is not None and not cycle.response_complete

    def _note_held(self) -> None:
        self.table.hold(self, self._received + self.transport.get_write_buffer_size())

    def _wait(self, seconds: float) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _taken(self) -> None:
        """The peer has taken what was written."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _overrun(self, problem: Problem) -> NoReturn:
        self._refusal = problem
        raise _OverrunError

    def _end(self, problem: Problem) -> None:
        """Reads no more, and tells why where an answer can still be given."""
        self._deaf = True
        self.flow.bar()
        if not self._answering:
            if self._in_head:
                self._refuse(problem)
            else:
                self.linger()  # it has its answer
        elif self._in_head or self.pipeline:  # what came before is answered
            self._ends_with(self.cycle)
        elif self.cycle.response_started:
            self._drop()
        else:
            self.cycle.disconnected = True  # for the application
            self.cycle.message_event.set()
            self._refuse(problem)

    def _ends_with(self, cycle: RequestResponseCycle) -> None:
        """Has the connection end with the answer to this request."""
        cycle.keep_alive = False
        cycle.transport = _Lingering(self)  # type: ignore[assignment]  # all that a cycle asks of it

    def _refuse(self, problem: Problem) -> None:
        self.transport.write(problem.as_http(secrets.token_hex(8)))
        self.transport.write_eof()
        self.linger()

    def linger(self) -> None:
        """Ends the connection after a while, in which nothing of it is read: closed at once, what was not read would
        have the kernel take the answer back, and whoever is refused would be back at once.
        """
        self._deaf = True
        self.flow.bar()
        self.url, self.headers = b"", []  # what it sent of a head is held no longer
        self.parser = None  # type: ignore[assignment]  # as uvicorn does
        self._received = 0
        self._note_held()
        self.table.waits(self)
        self._stop_waiting()
        self._patience = self.loop.call_later(random.uniform(0.5, 1.5) * LINGER_S, self._drop)  # noqa: S311  # no secret


class _Lingering:
    """The transport of a connection that ends with an answer."""

    def __init__(self, connection: BoundedConnection) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.linger
