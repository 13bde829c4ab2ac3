"""The HTTP client, and peers that vanish, hang up or do not let go."""

import asyncio
import ctypes
import os
import socket
import ssl
import struct
import sys
from contextlib import closing
from functools import partial
from operator import methodcaller
from pathlib import Path

import httpx
import pytest
from tests.support.raw_servers import receiver, server_side, tunnels

from prebooking.adapters.http11 import connection as http_connection
from prebooking.adapters.http11.client import HttpClient

TLS = ssl.create_default_context()
_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: return 0


def vanish(transport: asyncio.BaseTransport) -> None:
    """Has the kernel drop all that comes for this end, unacknowledged, as for a host that is gone."""
    program = ctypes.create_string_buffer(_DROP_ALL)
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such filter")
async def test_bytes_that_a_vanished_peer_never_acknowledges_end_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(http_connection._LIVENESS, "TCP_USER_TIMEOUT", 300)
    async with receiver() as gym:
        with closing(HttpClient(TLS)) as http:
            connection = await http.connect(f"http://127.0.0.1:{gym.port}")
            connection.expect(http_connection.ignore)
            while not gym.connections:
                await asyncio.sleep(0.01)
            vanish(gym.connections[0].transport)
            connection.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(httpx.ReadError):
                await asyncio.wait_for(connection.answer(), 10)


class HangingUp(asyncio.Protocol):
    """A proxy that lets the guest through, and is gone: at once, or in the midst of the gym's handshake."""

    def __init__(self, end: str, *, later: bool) -> None:
        self._end, self._later = methodcaller(end), later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        is_asked = data.startswith(b"CONNECT ")
        if is_asked:
            self._transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if is_asked is not self._later:
            self._end(self._transport)


@pytest.mark.parametrize("later", [False, True], ids=["at once", "in the handshake"])
@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_hangs_up_in_the_handshake_has_sent_nothing(
    certificate: Path, scheme: str, end: str, *, later: bool
) -> None:
    tls = server_side(certificate) if scheme == "https" else None
    proxy = partial(HangingUp, end, later=later)
    async with await asyncio.get_running_loop().create_server(proxy, "127.0.0.1", 0, ssl=tls) as server:
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        trusting = ssl.create_default_context(cafile=certificate)
        with closing(HttpClient(trusting, url)) as http, pytest.raises(httpx.ConnectError):
            await asyncio.wait_for(http.ask("GET", "https://gym.test/", []), 5)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b""], ids=["refuses", "waits"]
)
async def test_a_proxy_that_does_not_let_through_is_left(answer: bytes) -> None:
    left = asyncio.Event()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        http = HttpClient(TLS, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(httpx.ProxyError if answer else httpx.ConnectTimeout):
            await http.ask("GET", "https://gym.test/", [], connect_s=5 if answer else 0.1)
        await asyncio.wait_for(left.wait(), 5)


async def test_a_gym_that_speaks_first_through_a_tunnel_is_left(certificate: Path) -> None:
    tls = server_side(certificate)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # whose handshake ends with the server's word
    ends: list[bool] = []

    class Greeting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

        def connection_lost(self, _: Exception | None) -> None:
            ends.append(True)

    async with await asyncio.get_running_loop().create_server(Greeting, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        async with tunnels(port, as_proxy=True) as proxy:
            http = HttpClient(ssl.create_default_context(cafile=certificate), f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(httpx.ConnectError):
                await asyncio.wait_for(http.ask("POST", f"https://127.0.0.1:{port}/", []), 5)
            async with asyncio.timeout(5):
                while not ends:
                    await asyncio.sleep(0.01)


async def test_a_connection_is_let_go_though_its_peer_says_nothing(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    async with receiver(server_side(certificate)) as gym, tunnels(gym.port) as way:
        with closing(HttpClient(trusting)) as http:
            url = f"https://127.0.0.1:{way.port}"
            await http.ask("GET", url, [])
            way.silent = True
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.ask("GET", url, []), 0.1)
            await asyncio.wait_for(gym.connections[0].ended.wait(), 5)
