"""The HTTP client, and peers that vanish, hang up or do not let go."""

import asyncio
import ctypes
import os
import socket
import ssl
import struct
import sys
from contextlib import closing

import httpx
import pytest
from tests.support.raw_servers import receiver

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
