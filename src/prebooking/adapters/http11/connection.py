"""One HTTP/1.1 connection. Its write is a plain function, and its answers are read by httptools.

A request is bytes that were built before, so a booking leaves in one write, and several leave one after another with
nothing in between. (asyncio's own loop writes at once; uvloop would gather the writes and forget their order.)
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools
import httpx

from prebooking.adapters.http11.limited_body import LARGEST

_LARGEST_HEAD = 100 * 1024  # with the interim answers before it
# Seconds until a connection is looked at, seconds between looks, and how many unanswered ones end it; and milliseconds
# until bytes that nobody acknowledges do: the same time. Without the last, Linux sends them again for 15 minutes.
_LIVENESS = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 18_000}


@dataclass(slots=True)
class Response:
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)  #: names in lower case
    body: bytearray = field(default_factory=bytearray)  #: as it came
    ends_with_connection: bool = False  #: no length was given, so the body may be cut off

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def first(self, name: str) -> str:
        """Returns "" where there is none."""
        return next((value for key, value in self.headers if key == name), "")


OnHead = Callable[[Response], None]


class HttpConnection(asyncio.Protocol):
    """Takes one request at a time. `largest`: bytes of a body as it comes, with its chunks' heads."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = _LARGEST_HEAD + largest
        self._loop = asyncio.get_running_loop()
        self._used_at = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._response = Response()
        self._received = 0
        self._on_head: OnHead = ignore
        self._parser: httptools.HttpResponseParser | None = None
        self._is_sent = self._has_head = False
        self._keeps_alive = self._is_reusable = False
        self.ended: asyncio.Future[None] = self._loop.create_future()  #: done when nothing can be sent any more

    @property
    def is_open(self) -> bool:
        """Whether a request can be written now."""
        return self._transport is not None and not self.ended.done() and not self._transport.is_closing()

    def take(self) -> bool:
        """Returns whether its last request was answered and another can be sent: by the caller alone, from now on."""
        taken = self._is_reusable and self.is_open
        self._is_reusable = False
        return taken

    @property
    def idle_s(self) -> float:
        """For how long nothing has happened."""
        return self._loop.time() - self._used_at

    def expect(self, on_head: OnHead) -> None:
        """Makes ready for the answer to the next request, so that `send` has little left to do.

        `on_head` is called once the head of the answer has come, though its body may break off.
        """
        self._answer = self._loop.create_future()
        self._response, self._received, self._on_head = Response(), 0, on_head
        self._is_sent = self._has_head = False
        self._keeps_alive = self._is_reusable = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_headers=True)  # as browsers: a cookie with a control character

    def send(self, request: bytes) -> None:
        """Writes the request after `expect`. Where that can't be done any more, `answer` says so."""
        self._is_sent = True
        if self._transport is None or not self.is_open:
            self._fail(httpx.WriteError("the connection was closed before the request could be written"))
        else:
            self._transport.write(request)
            self._used_at = self._loop.time()

    def warm(self) -> None:
        """Goes the way of `send` without a write."""
        if self._transport is not None:
            self._transport.write(b"")  # which no transport sends

    async def answer(self) -> Response:
        """Returns the complete answer to what was sent.

        Raises httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError.
        """
        answer = self._answer
        assert answer is not None
        await asyncio.wait((answer,))  # who is cancelled leaves it as it is
        response = answer.result()
        self._is_reusable = self._keeps_alive  # not before: another request would take the answer's place
        if not self._is_reusable:
            self.close()
        return response

    def close(self) -> None:
        """Closes it at once, without TLS's farewell, for which the transport would wait half a minute."""
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            _notice_when_gone(sock)

    def data_received(self, data: bytes) -> None:
        if not self._is_sent or self._answer is None or self._answer.done():
            self.close()  # an answer that nobody asked for, such as 408: the server is about to close it
            return
        self._used_at = self._loop.time()
        self._received += len(data)
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fail(httpx.RemoteProtocolError(f"not an answer of HTTP/1.1: {type(exc).__name__}"))
        if self._answer.done():
            self._parser = None
        elif self._received > (self._largest if self._has_head else _LARGEST_HEAD):
            self._fail(httpx.RemoteProtocolError("an answer that is too large"))

    def eof_received(self) -> None:
        self._finish()
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None  # the two know each other
        self._fail(httpx.ReadError(str(exc or "closed by this side")))  # the peer's end came to `eof_received`

    def _finish(self) -> None:
        """Nothing more will come."""
        if self._answer is None or self._answer.done():
            return
        if self._has_head and self._response.ends_with_connection:
            self._answer.set_result(self._response)
        else:
            self._fail(httpx.RemoteProtocolError("the connection was closed before the end of the answer"))

    def _fail(self, exc: httpx.HTTPError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)
            self._answer.exception()  # retrieved here: perhaps nobody waits any more
        self.close()

    # ---- httptools' callbacks

    def on_message_begin(self) -> None:
        if self._answer is not None and self._answer.done():
            self.close()  # a second answer: nothing of it belongs to the first
            self._response, self._on_head = Response(), ignore

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # after it come trailers, which nobody reads
            self._response.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004  # an interim answer: the final one follows
            self._response.headers.clear()
            return
        self._has_head, self._response.status = True, status
        self._response.ends_with_connection = not (
            self._response.all("content-length") or self._response.all("transfer-encoding")
        )
        self._on_head(self._response)

    def on_body(self, data: bytes) -> None:
        self._response.body += data

    def on_message_complete(self) -> None:
        if self._has_head and self._answer is not None and self._parser is not None and not self._answer.done():
            self._keeps_alive = self._parser.should_keep_alive()
            self._answer.set_result(self._response)


def ignore(_: Response) -> None:
    pass


def _notice_when_gone(sock: socket.socket) -> None:
    """Turns on TCP keep-alive: a dead peer is noticed, and no middlebox drops the connection for being idle."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _LIVENESS.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
