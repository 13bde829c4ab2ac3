"""Sends one HTTP request on a connection of its own.

A pooling client spends more time on handing out connections than on using them when hundreds of messages are
due at one instant; a connection on this machine costs a fraction of a millisecond.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import httptools


class DeliveryError(OSError):
    """No usable answer came back."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Returns the header of that lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Parcel:
    url: str
    method: str
    headers: dict[str, str]
    body: bytes

    def as_bytes(self) -> bytes:
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        fixed = {"Host": host, "Content-Length": str(len(self.body)), "Connection": "close"}
        lines = [f"{name}: {value}\r\n" for name, value in {**fixed, **self.headers}.items()]
        head = f"{self.method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n"
        return head.encode("latin-1") + self.body


async def send(parcel: Parcel, sent: Callable[[], None]) -> Answer:
    """Returns the destination's answer, redirects included. Raises OSError if there was none.

    `sent` hears when the request has left: a destination whose process stands still may let its connection wait.
    """
    parts = urlsplit(parcel.url)
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    transport, exchange = await asyncio.get_running_loop().create_connection(
        _Exchange, parts.hostname or "", port, ssl=_tls() if secure else None
    )
    try:
        transport.write(parcel.as_bytes())
        sent()
        return await exchange.answer
    finally:
        transport.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass
class _Exchange(asyncio.Protocol):
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _headers: list[tuple[str, str]] = field(default_factory=list)
    _body: bytearray = field(default_factory=bytearray)
    _ends_with_connection: bool = False

    def __post_init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(f"malformed answer: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ends_with_connection and exc is None:
            self.on_message_complete()
        else:
            self._fail(f"connection lost: {exc or 'closed before a complete answer'}")

    def on_message_begin(self) -> None:
        self._headers.clear()  # an interim answer (1xx) may have come before

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        names = {name.lower() for name, _ in self._headers}
        self._ends_with_connection = not names & {"content-length", "transfer-encoding"}

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self.answer.done():
            self.answer.set_result(Answer(status, tuple(self._headers), bytes(self._body)))

    def _fail(self, text: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(DeliveryError(text))
