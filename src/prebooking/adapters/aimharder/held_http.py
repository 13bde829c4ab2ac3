"""A request held on its open connection: all of it is built, and no byte of it leaves before the word.

httpcore writes a request and then reads the answer. Here the write of a held request goes into a buffer, and the read
waits for the end of the connection; `Hold.fire` writes the buffer in one piece, and from then on the read is the
answer's. It is a plain function: many holds fired one after another leave one after another, with nothing in between.
(asyncio's own loop writes at once; uvloop would gather the writes and forget their order.)
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx
import structlog
from aiohappyeyeballs import AddrInfoType, start_connection

from prebooking.adapters.aimharder.addresses import NotPublicError, is_own_machine
from prebooking.adapters.aimharder.resolver import PinnedResolver, Resolver

_log = structlog.get_logger()

_LENGTH = re.compile(rb"(?i)(?<=\r\ncontent-length: )[0-9]+")
_NEXT_ADDRESS_S = 0.25  # as RFC 8305 has it
# Seconds until a connection is looked at, seconds between looks, and how many unanswered ones end it.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 4}

# The hold of the request that the current task is sending, if any. Questions to the same box have none.
held: ContextVar["Hold | None"] = ContextVar("held", default=None)


class Hold:
    """Where one request waits."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._request = bytearray()
        self._stream: _Stream | None = None
        self.ready = asyncio.Event()  #: built and connected: only the write is left
        self.fired_at: float | None = None  #: when it was written; None: it never left
        self.body: bytes | None = None  #: in place of the one that it was held with

    def take(self, stream: "_Stream", data: bytes) -> bool:
        """Keeps what is written of the held request. A proxy's CONNECT before it is let through."""
        if self.fired_at is not None or (self._stream is None and not data.startswith(b"POST ")):
            return False
        self._stream = stream
        self._request += data
        return True

    async def read(self, stream: "_Stream", reading: Awaitable[bytes]) -> bytes:
        """Returns what is read of the answer. Raises WriteError for whatever comes before the request has left."""
        if stream is self._stream:
            self.ready.set()
        data = await reading
        if stream is self._stream and self.fired_at is None:
            raise httpcore.WriteError("the connection was closed before the request could be written")
        return data

    @property
    def idle_s(self) -> float:
        """For how long nothing has happened on the connection."""
        return 0.0 if self._stream is None else self._stream.idle_s

    def fire(self) -> None:
        """Writes the request, unless its connection is gone."""
        if self._stream is not None and self._stream.is_open and self.fired_at is None:
            request = self._request if self.body is None else _with_body(self._request, self.body)
            self.fired_at = self._now()
            self._stream.send(request)

    def warm(self) -> None:
        """Goes the way of `fire` without a write."""
        if self._stream is not None and self._stream.is_open and self.fired_at is None:
            self._now()
            self._stream.warm()


def _with_body(request: bytearray, body: bytes) -> bytes:
    head, end, _ = bytes(request).partition(b"\r\n\r\n")
    return _LENGTH.sub(b"%d" % len(body), head, count=1) + end + body


class _Stream(httpcore.AsyncNetworkStream):
    """A connection by asyncio's own streams, whose write is a plain function."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._used_at = self._loop.time()

    @property
    def idle_s(self) -> float:
        return self._loop.time() - self._used_at

    @property
    def is_open(self) -> bool:
        # at_eof is false while unread data lies before the end: an answer that nobody asked for, such as 408.
        stray = self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001
        return not (stray or self._reader.at_eof() or self._writer.is_closing())

    def send(self, data: bytes | bytearray) -> None:
        self._used_at = self._loop.time()
        self._writer.write(data)

    def warm(self) -> None:
        self._writer.write(b"")  # which no transport sends

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore's name
        hold = held.get()
        if not buffer or (hold is not None and hold.take(self, buffer)):
            return
        try:
            async with asyncio.timeout(timeout):
                self.send(buffer)
                await self._writer.drain()
        except TimeoutError as exc:
            raise httpcore.WriteTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.WriteError(str(exc)) from exc

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        hold = held.get()
        reading = self._reader.read(max_bytes)
        try:
            async with asyncio.timeout(timeout):
                data = await (reading if hold is None else hold.read(self, reading))
        except TimeoutError as exc:
            raise httpcore.ReadTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.ReadError(str(exc)) from exc
        self._used_at = self._loop.time()
        return data

    async def aclose(self) -> None:
        self._writer.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> "_Stream":
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:  # ssl.SSLError is one
            raise httpcore.ConnectError(str(exc)) from exc
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of an idle connection: data or its end means that it is no use
            return not self.is_open
        return self._writer.get_extra_info(info)


class _Backend(httpcore.AsyncNetworkBackend):
    """`anywhere`: the host is a proxy, which the operator has chosen, and which looks up the gym's name itself."""

    def __init__(self, resolver: Resolver, *, anywhere: bool) -> None:
        self._resolver = PinnedResolver(resolver)
        self._anywhere = anywhere

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,  # noqa: ARG002  # never asked for
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  # asyncio sets TCP_NODELAY
    ) -> _Stream:
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await self._connect(host, port)
                _watch(writer.get_extra_info("socket"))
                return _Stream(reader, writer)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:
            if isinstance(exc, NotPublicError):
                _log.warning("address_refused", reason=str(exc))
            raise httpcore.ConnectError(str(exc)) from exc

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._anywhere or is_own_machine(host):
            return await asyncio.open_connection(host, port)
        found = [_address_info(address, port) for address in await self._resolver.addresses(host)]
        return await asyncio.open_connection(sock=await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _watch(sock: socket.socket) -> None:
    """Has the kernel ask now and then whether the other side is there: who forgets idle connections sees them used."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _address_info(address: str, port: int) -> AddrInfoType:
    """As getaddrinfo tells it."""
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def holding_transport(ssl_context: ssl.SSLContext, proxy: str | None, resolver: Resolver) -> httpx.AsyncHTTPTransport:
    """A transport of its own for one execution; the SSL context and the resolver alone are shared."""
    transport = httpx.AsyncHTTPTransport(verify=ssl_context, proxy=proxy, trust_env=False)
    transport._pool._network_backend = _Backend(resolver, anywhere=proxy is not None)  # noqa: SLF001  # httpx builds the pool and takes no backend
    return transport
