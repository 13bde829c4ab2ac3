"""A small HTTP/1.1 client: an execution has one of its own for its gym, and each SDK has one.

A general client would cost the service most of its CPU at an opening. Here a request is bytes, a connection is used as
soon as it is open. There are no redirects, cookies or retries, and a time limit for connecting alone. It raises httpx's
exceptions.
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from aiohappyeyeballs import AddrInfoType, start_connection

from prebooking.adapters.http11.connection import HttpConnection, OnHead, Response, ignore
from prebooking.adapters.http11.limited_body import LARGEST
from prebooking.adapters.http11.system_resolver import SystemResolver
from prebooking.adapters.http11.tunnel import TunnelAnswer

_NEXT_ADDRESS_S = 0.25  # as RFC 8305 has it
_PORTS = {"http": 80, "https": 443}

Header = tuple[str, str]


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: SplitResult) -> Self:
        return cls(url.scheme, url.hostname or "", url.port or _PORTS[url.scheme])

    @property
    def authority(self) -> str:
        """Returns the Host header."""
        return self.bracketed if self.port == _PORTS[self.scheme] else f"{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        """Returns the host, as it stands before a port."""
        return f"[{self.host}]" if ":" in self.host else self.host


@lru_cache(maxsize=1024)
def split_url(url: str) -> tuple[Origin, str]:
    """Returns the origin and the path. The URL has no query, which may be secret, and would be kept here."""
    parts = urlsplit(url)
    return Origin.of(parts), parts.path or "/"


@dataclass(frozen=True, slots=True)
class _Proxy:
    origin: Origin
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, url: str) -> Self:
        parts = urlsplit(url)
        origin = Origin.of(parts)
        if parts.username is None:
            return cls(origin, ())
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return cls(origin, (("Proxy-Authorization", f"Basic {b64encode(user.encode()).decode()}"),))


class Resolver(Protocol):
    async def addresses(self, host: str, /) -> Sequence[str]:
        """Returns the addresses to connect to, in this order. Raises OSError."""
        ...


class HttpClient:
    """`proxy`: a URL, which may name user and password; the proxy looks the hosts up itself.

    `resolver`: None: the system's. `keep_s`: how long an idle connection may be used again. `largest`: bytes of a body.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext,
        proxy: str | None = None,
        resolver: Resolver | None = None,
        *,
        keep_s: float = inf,
        largest: int = LARGEST,
    ) -> None:
        self._ssl_context = ssl_context
        self._proxy = None if proxy is None else _Proxy.of(proxy)
        self._resolver = SystemResolver() if resolver is None else resolver
        self._keep_s = keep_s
        self._make = partial(HttpConnection, largest)
        self._connections: list[tuple[Origin, HttpConnection]] = []
        self._is_closed = False

    async def ask(
        self,
        method: str,
        url: str,
        headers: Sequence[Header],
        body: bytes = b"",
        *,
        query: str = "",
        on_head: OnHead = ignore,
        connect_s: float | None = None,
    ) -> Response:
        """Returns the complete answer. A caller that is cancelled ends the connection.

        `on_head`: see HttpConnection.expect. `connect_s` bounds the wait for a connection. Raises httpx.HTTPError.
        """
        request = self.build(method, url, headers, body, query)
        connection = await self.connect(url, connect_s)
        try:
            connection.expect(on_head)
            connection.send(request)
            return await connection.answer()
        except BaseException:
            connection.close()
            raise

    def build(self, method: str, url: str, headers: Sequence[Header], body: bytes, query: str = "") -> bytes:
        """Returns the bytes of a request. Raises httpx.LocalProtocolError where a header is not one line of ASCII."""
        origin, path = split_url(url)
        target = f"{path}?{query}" if query else path
        own: list[Header] = [("Host", origin.authority)]
        if self._proxy is not None and origin.scheme == "http":
            target = f"http://{origin.authority}{target}"
            own += self._proxy.headers
        if body or method == "POST":
            own.append(("Content-Length", str(len(body))))
        return _head(f"{method} {target}", [*own, *headers]) + body

    async def connect(self, url: str, within_s: float | None = None) -> HttpConnection:
        """Returns a connection that waits for a request, the caller's alone until that is answered.

        Raises httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError.
        """
        origin, _ = split_url(url)
        self._connections = [(known, one) for known, one in self._connections if one.is_open]
        for known, one in self._connections:
            if known == origin and one.take():
                if one.idle_s <= self._keep_s:
                    return one
                one.close()
        try:
            async with asyncio.timeout(within_s):
                connection = await self._open(origin)
        except TimeoutError as exc:
            raise httpx.ConnectTimeout(str(exc)) from exc
        except OSError as exc:  # ssl.SSLError is one
            raise httpx.ConnectError(str(exc)) from exc
        if self._is_closed or not connection.is_open:
            connection.close()
            raise httpx.ConnectError("the connection was closed as soon as it was open")
        self._connections.append((origin, connection))
        return connection

    def close(self) -> None:
        self._is_closed = True
        for _, connection in self._connections:
            connection.close()

    async def _open(self, origin: Origin) -> HttpConnection:
        loop = asyncio.get_running_loop()
        proxy = self._proxy
        if proxy is not None and origin.scheme == "https":
            return await self._tunnel(proxy, origin)
        to = origin if proxy is None else proxy.origin
        tls = self._tls_for(to)
        if proxy is not None:
            _, connection = await loop.create_connection(
                self._make, to.host, to.port, happy_eyeballs_delay=_NEXT_ADDRESS_S, **tls
            )
            return connection
        found = [_address_info(address, to.port) for address in await self._resolver.addresses(to.host)]
        sock = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        _, connection = await loop.create_connection(self._make, sock=sock, **tls)
        return connection

    async def _tunnel(self, proxy: _Proxy, origin: Origin) -> HttpConnection:
        """Returns a connection through the proxy, which sees its encrypted bytes alone."""
        loop = asyncio.get_running_loop()
        transport, answer = await loop.create_connection(
            TunnelAnswer, proxy.origin.host, proxy.origin.port, **self._tls_for(proxy.origin)
        )
        try:
            authority = f"{origin.bracketed}:{origin.port}"
            transport.write(_head(f"CONNECT {authority}", [("Host", authority), *proxy.headers]))
            await answer.accepted()
            connection = self._make()
            secured = await loop.start_tls(transport, connection, self._ssl_context, server_hostname=origin.host)
        except (TypeError, AttributeError) as exc:  # Python 3.11, where a proxy with TLS hangs up
            transport.abort()
            raise httpx.ConnectError("the proxy closed the connection during the handshake") from exc
        except BaseException:
            transport.abort()
            raise
        if secured is None:
            raise httpx.ConnectError("the proxy closed the connection during the handshake")
        connection.connection_made(secured)
        return connection

    def _tls_for(self, origin: Origin) -> dict[str, Any]:
        if origin.scheme == "http":
            return {}
        return {"ssl": self._ssl_context, "server_hostname": origin.host}


def _head(request: str, headers: Sequence[Header]) -> bytes:
    head = f"{request} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers)
    if head.count("\n") != 1 + len(headers) or head.count("\r") != 1 + len(headers) or not head.isascii():
        raise httpx.LocalProtocolError("a header that is not one line of ASCII")
    return head.encode() + b"\r\n"


def _address_info(address: str, port: int) -> AddrInfoType:
    """As getaddrinfo tells it."""
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
