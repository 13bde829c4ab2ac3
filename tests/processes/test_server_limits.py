"""The unmodified service, real connections: whoever sends too much, too slowly or nothing keeps nobody else waiting."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest
from tests.processes.one_wish import wish

from prebooking_local.stack import Stack, service

MIB = 1024 * 1024
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def running(stack: Stack) -> AsyncIterator[Stack]:
    async with service(stack):
        yield stack


async def connect(stack: Stack, *pieces: bytes) -> Connection:
    url = urlsplit(stack.service_url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    for piece in pieces:
        writer.write(piece)
    await writer.drain()
    return reader, writer


def memory(stack: Stack) -> int:
    """Bytes that the service's process holds."""
    leash = psutil.Process(stack.processes["service"].pid)
    return int(max(process.memory_info().rss for process in (leash, *leash.children(recursive=True))))


CREATE = (
    b"POST /prebookings HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer local_service_key_for_development_only\r\nX-User-Email: ana@example.com\r\n"
)


async def test_200_mb_without_a_length_are_refused_at_once_and_in_constant_memory(running: Stack) -> None:
    await wish(running, 3600)  # all that a first request loads is loaded
    reader, writer = await connect(running, CREATE + b"Transfer-Encoding: chunked\r\n\r\n")
    before, most, sent = memory(running), 0, 0
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    for number in range(200 * MIB // 65536):
        writer.write(chunk)
        await writer.drain()
        sent += 65536
        if number % 160 == 0:
            most = max(most, memory(running))
    writer.write(b"0\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"too-large" in await reader.readuntil(b"}")
    assert sent == 200 * MIB
    assert most - before < 8 * MIB
    # The connection is still good for the next one.
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: service\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_idle_and_slow_connections_keep_no_create_from_being_answered(running: Stack) -> None:
    idle = [await connect(running) for _ in range(100)]
    slow_head = [await connect(running, b"POST /prebookings HTTP/1.1\r\nHo") for _ in range(100)]
    slow_body = [await connect(running, CREATE + b"Content-Length: 400\r\n\r\n{") for _ in range(100)]
    began = time.monotonic()
    await wish(running, 3600)
    assert time.monotonic() - began < 5  # they alone would last for 10 s
    # And they end by themselves, within 10 s.
    async with asyncio.timeout(30):
        for reader, writer in (*idle, *slow_head):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
        for reader, writer in slow_body:
            assert b"request-timeout" in await reader.read()
            writer.close()


async def test_a_head_without_end_is_refused(running: Stack) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: service\r\nX-Long: "
    reader, writer = await connect(running, head, b"x" * 33 * 1024)
    said = await reader.read()
    assert said.startswith(b"HTTP/1.1 431 ")
    top, _, body = said.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert problem["code"] == "headers-too-large"
    assert f"x-request-id: {problem['request_id']}".encode() in top
    writer.close()
    with pytest.raises(ConnectionError):  # and nobody listens to more of it
        await connect(running, head, *[b"x" * 65536] * 1000)


async def test_the_server_does_not_say_what_it_is(running: Stack) -> None:
    answer = await running.http.get(f"{running.service_url}/healthz")
    assert "server" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
