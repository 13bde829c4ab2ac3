"""A real server, an application that does as it is told: what a peer may send, keep waiting and leave unread."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from prebooking.server import bounds
from prebooking.server.bounded_connection import BoundedConnection
from prebooking.server.bounds import LARGEST_HEAD, MOST_HEADERS, MOST_PIPELINED
from prebooking.server.connection_table import ConnectionTable
from prebooking.server.throttle import Throttle
from prebooking.web.extensions import authenticated
from prebooking_local.serving import listen

POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
KIB = 1024
IN_KERNELS = 16 * KIB * KIB  # bytes that two kernels may take which nobody reads


@dataclass
class Site:
    """An application that answers each request once it has its body, or before, and notes what it was given."""

    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    reads: bool = True  #: the body, before it answers
    knows: bool = False  #: who asks
    answer: bytes = b"ok"
    waits: asyncio.Event | None = None  #: for this, before it answers
    peers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append(scope)
        if self.knows:
            authenticated(scope)
        body = b""
        while self.reads:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                self.bodies.append(body)
                break
        if self.waits:
            await self.waits.wait()
        headers = [(b"content-length", str(len(self.answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.answer})


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        pass


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Site]:
    sock = listen("127.0.0.1", 0)
    site.port = sock.getsockname()[1]
    config = uvicorn.Config(
        site, http=BoundedConnection, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[sock])
    try:
        yield site
    finally:
        for writer in site.peers:
            writer.transport.abort()
        await server.shutdown(sockets=[sock])


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionTable]:
    table = ConnectionTable(most=1000, most_buffered=16 * KIB * KIB)
    monkeypatch.setattr(BoundedConnection, "table", table)
    monkeypatch.setattr(BoundedConnection, "throttle", Throttle())
    monkeypatch.setattr(bounds, "LINGER_S", 0.02)
    yield table
    assert table.buffered == 0


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(Site()) as running:
        yield running


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(site: Site, *pieces: bytes) -> Peer:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    site.peers.append(writer)
    for piece in pieces:
        writer.write(piece)
    return reader, writer


async def sent_until_cut_off(site: Site, start: bytes, piece: bytes) -> tuple[int, bytes]:
    """Sends without end: how many bytes left before the connection was closed, and what was answered."""
    reader, writer = await dial(site, start)
    answered = asyncio.create_task(read_all(reader))
    sent = 0
    async with asyncio.timeout(10):
        while not writer.is_closing() and not answered.done():
            writer.write(piece)
            sent += len(piece)
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0.001)
    writer.transport.abort()
    return sent, await answered


async def read_all(reader: asyncio.StreamReader) -> bytes:
    said = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                said += piece
    return said


ENDLESS = {
    "trailers": (POST + b"0\r\n", b"X-Y: " + b"x" * 100 + b"\r\n", b"413"),
    "one trailer": (POST + b"0\r\nX: ", b"x" * KIB, b"413"),
    "chunk extensions": (POST + b"1;", b"a=b;" * 100, b"413"),
    "tiny chunks": (POST, b"1\r\nx\r\n" * 200, b"413"),
    "many headers": (b"GET / HTTP/1.1\r\n", b"a: b\r\n", b"431"),
    "one header": (b"GET / HTTP/1.1\r\nX: ", b"x" * KIB, b"431"),
    "target": (b"GET /", b"x" * KIB, b"431"),
    "empty lines": (b"", b"\r\n" * 200, b"431"),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_frames_a_message_has_an_end(site: Site, name: str) -> None:
    start, piece, status = ENDLESS[name]
    sent, answered = await sent_until_cut_off(site, start, piece)
    assert answered.startswith(b"HTTP/1.1 " + status)
    assert sent < IN_KERNELS
    assert site.bodies == []


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_frames_a_message_has_an_end_also_when_all_of_it_comes_at_once(site: Site, name: str) -> None:
    start, piece, status = ENDLESS[name]
    reader, _ = await dial(site, start + piece * (512 * KIB // len(piece)))
    assert (await read_all(reader)).startswith(b"HTTP/1.1 " + status)


async def test_trailers_are_nobodys(site: Site) -> None:
    site.waits = asyncio.Event()
    reader, _ = await dial(site, POST + b"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    while not site.bodies:
        await asyncio.sleep(0.001)
    assert [name for name, _ in site.requests[0]["headers"]] == [b"host", b"transfer-encoding"]
    site.waits.set()
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


async def test_as_many_headers_as_allowed_are_read(site: Site) -> None:
    head = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * MOST_HEADERS + b"\r\n"
    reader, _ = await dial(site, head)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    assert len(site.requests[0]["headers"]) == MOST_HEADERS


async def test_an_ordinary_body_may_come_in_small_chunks(site: Site) -> None:
    reader, _ = await dial(site, POST + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n")
    await reader.readuntil(b"ok")
    assert site.bodies == [b"x" * 2000]


async def test_a_few_requests_may_be_sent_ahead_and_are_answered_in_order(site: Site) -> None:
    reader, writer = await dial(site, GET * (MOST_PIPELINED + 1))
    for _ in range(MOST_PIPELINED + 1):
        await reader.readuntil(b"ok")
    writer.write(GET)
    await reader.readuntil(b"ok")
    assert len(site.requests) == MOST_PIPELINED + 2


async def test_of_a_thousand_requests_sent_ahead_the_first_are_answered_and_the_others_never_begun(site: Site) -> None:
    reader, _ = await dial(site, GET * 1000)
    said = await read_all(reader)
    assert said.count(b"HTTP/1.1 200 ") == len(site.requests) == MOST_PIPELINED + 1
    assert b"connection: close" in said


async def test_garbage_behind_a_request_does_not_spoil_its_answer(site: Site) -> None:
    reader, _ = await dial(site, GET + b"\x16\x03\x01\0")
    said = await read_all(reader)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"ok")


async def test_garbage_is_refused_with_a_problem(site: Site) -> None:
    reader, _ = await dial(site, b"\x16\x03\x01\0")
    said = await read_all(reader)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in said


async def test_who_is_refused_without_being_asked_for_the_body_is_not_believed_to_send_it(site: Site) -> None:
    site.reads = False
    expecting = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n"
    reader, writer = await dial(site, expecting)
    said = await reader.readuntil(b"ok")
    assert b"100 Continue" not in said
    assert b"connection: close" in said
    writer.write(GET)  # which is no body, but would be taken for one
    assert await read_all(reader) == b""
    assert len(site.requests) == 1


async def test_what_comes_after_the_answer_is_discarded_to_an_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, table: ConnectionTable
) -> None:
    monkeypatch.setattr(bounds, "LARGEST_REST", 512 * KIB)
    site.reads = False
    reader, writer = await dial(site, POST)
    await reader.readuntil(b"ok")
    writer.write(b"10000\r\n" + b"x" * 64 * KIB + b"\r\n0\r\n\r\n" + GET)
    await reader.readuntil(b"ok")  # the connection is still good
    writer.write(POST)
    await reader.readuntil(b"ok")
    async with asyncio.timeout(10):
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b"x" * 64 * KIB + b"\r\n")
            with suppress(ConnectionError):
                await writer.drain()
            assert table.buffered < 256 * KIB


async def test_a_body_that_nobody_reads_is_left_to_the_kernel(site: Site, table: ConnectionTable) -> None:
    site.reads, site.waits = False, asyncio.Event()
    _, writer = await dial(site, b"POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n")
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            while True:
                writer.write(b"x" * 64 * KIB)
                await writer.drain()
    assert table.buffered < 256 * KIB
    site.waits.set()
    writer.transport.abort()


async def test_who_does_not_read_the_answer_is_dropped(
    site: Site, monkeypatch: pytest.MonkeyPatch, table: ConnectionTable
) -> None:
    monkeypatch.setattr(bounds, "SLOWEST_READER_S", 0.05)
    site.answer = b"x" * 32 * KIB * KIB
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", site.port))
    await asyncio.get_running_loop().sock_sendall(sock, GET)
    async with asyncio.timeout(10):
        while not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            await asyncio.sleep(0.01)
    sock.close()
    assert table.buffered == 0


async def closed(peer: Peer) -> bool:
    try:
        async with asyncio.timeout(0.2):
            return await peer[0].read(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def test_for_a_new_connection_the_unauthenticated_one_goes_that_waits_for_the_longest(
    site: Site, table: ConnectionTable
) -> None:
    table.most = 4
    site.knows = True
    known = await dial(site, GET)
    await known[0].readuntil(b"ok")
    site.knows, site.waits = False, asyncio.Event()
    working = await dial(site, GET)
    async with asyncio.timeout(10):
        while len(site.requests) < 2:
            await asyncio.sleep(0.001)
    half_sent = await dial(site, b"GET / HT")
    await asyncio.sleep(0.02)
    idle = await dial(site)
    await asyncio.sleep(0.02)
    half_sent[1].write(b"TP/1.1\r\n")  # a byte now and then earns no more time
    await asyncio.sleep(0.02)

    new = await dial(site, GET)
    assert await closed(half_sent)
    assert not await closed(idle)
    another = await dial(site, GET)
    assert await closed(idle)
    third = await dial(site, GET)
    assert await closed(known)  # no unauthenticated connection is left that waits
    site.waits.set()
    for peer in (working, new, another, third):
        assert (await peer[0].readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


async def test_bytes_that_all_hold_together_are_bounded(site: Site, table: ConnectionTable) -> None:
    table.most_buffered = 100 * KIB
    holders = []
    for _ in range(10):
        holders.append(await dial(site, b"GET / HTTP/1.1\r\nX: " + b"x" * (LARGEST_HEAD - KIB)))
        await asyncio.sleep(0.02)
        assert table.buffered <= table.most_buffered
    assert [await closed(peer) for peer in holders] == [True] * 7 + [False] * 3
    reader, _ = await dial(site, GET)
    await reader.readuntil(b"ok")


async def test_the_requests_of_strangers_wait_for_their_turn_and_those_of_the_known_never(site: Site) -> None:
    async def took(number: int) -> float:
        loop = asyncio.get_running_loop()
        reader, writer = await dial(site)
        began = loop.time()
        for _ in range(number):
            writer.write(GET)
            await reader.readuntil(b"ok")
        return loop.time() - began

    their_turns_s = 90 * 0.005
    assert await took(100) > their_turns_s
    site.knows = True
    assert min([await took(100) for _ in range(3)]) < their_turns_s  # of three: a busy machine may stand still for one
