"""The unmodified service: a page that reads nothing is cut off, and the others hear on."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import asyncpg

from prebooking_local.stack import Stack, service

FOLLOW = (
    b"GET /prebookings/events HTTP/1.1\r\nHost: service\r\n"
    b"Authorization: Bearer local_service_key_for_development_only\r\nX-User-Email: ana@example.com\r\n\r\n"
)
LARGE = "x" * 20_000
ROWS = 30
INSERT = """
insert into public.prebookings (user_email, booking_data, available_at)
select 'ana@example.com', '{"day": "20991231", "id": "1"}', '2099-12-27' from generate_series(1, $1)
"""
CHANGE = """
update public.prebookings set attempts = $1, booking_data = booking_data || $2::jsonb
where user_email = 'ana@example.com' and wish_key is null
"""


async def connect(stack: Stack, *, holds: int = 1024 * 1024) -> socket.socket:
    """A listening stream, whose connection holds so many bytes by itself."""
    url = urlsplit(stack.service_url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holds)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (url.hostname, url.port))
    await loop.sock_sendall(sock, FOLLOW)
    assert (await loop.sock_recv(sock, 4096)).startswith(b"HTTP/1.1 200 ")
    return sock


async def test_a_page_that_reads_nothing_is_cut_off_and_the_others_hear_on(stack: Stack) -> None:
    async with service(stack):
        lazy, eager = await connect(stack, holds=4096), await connect(stack)
        database = await asyncpg.connect(stack.database_url)
        await database.execute(INSERT, ROWS)
        try:
            async with asyncio.timeout(60):
                number = 0
                while not cut_off(lazy):
                    number += 1
                    await database.execute(CHANGE, number, json.dumps({"boxName": LARGE}))
                    await hear(eager, f'"attempts":{number},'.encode(), ROWS)
        finally:
            await database.execute("delete from public.prebookings where user_email = 'ana@example.com'")
            await database.close()
            lazy.close()
            eager.close()
        assert number > 1


async def hear(sock: socket.socket, word: bytes, times: int) -> None:
    end = b""
    while times > 0:
        received = await asyncio.get_running_loop().sock_recv(sock, 1024 * 1024)
        assert received, "the page that reads was cut off"
        times -= (end + received).count(word)
        end = received[1 - len(word) :]


def cut_off(sock: socket.socket) -> bool:
    """Whether the service has dropped the connection, without reading from it."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
