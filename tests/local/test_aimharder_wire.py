"""Framing, order, stamps and the ledger, over bare sockets."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator

import pytest
from tests.local.aimharder_guest import DAY, Town, new_town

from prebooking_local.aimharder import AimHarder, Fault, aimharder_server, routes
from prebooking_local.aimharder.site import Call
from prebooking_local.aimharder.wire import Answer, as_json

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        town.open()
        yield town


@pytest.fixture
async def wire(town: Town) -> AsyncIterator[Wire]:
    reader, writer = await dial(town.aimharder)
    yield reader, writer
    writer.close()


async def dial(aimharder: AimHarder) -> Wire:
    host, _, port = aimharder.url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port))


def booking(auth: str, class_id: int = 501) -> bytes:
    body = f"id={class_id}&day={DAY}".encode()
    head = (
        "POST /mygym/api/book HTTP/1.1\r\nHost: x\r\n"
        f"Cookie: amhrdrauth={auth}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split(" ")[1]), await reader.readexactly(length)


async def let_the_server_read(town: Town) -> None:
    """Once a younger connection has its answer, what was written before has been read."""
    reader, writer = await dial(town.aimharder)
    writer.write(b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
    await read_answer(reader)
    writer.close()


async def until_recorded(town: Town, count: int) -> None:
    async with asyncio.timeout(30):
        while len(town.aimharder.ledger.entries) < count:
            await asyncio.sleep(0.002)


async def test_the_first_and_the_last_byte_have_their_own_stamps(town: Town, wire: Wire) -> None:
    reader, writer = wire
    ana = town.member()
    request = booking(ana.cookies["amhrdrauth"])
    first_ns = town.clock()
    writer.write(request[:1])
    await let_the_server_read(town)
    town.clock.turn(2)
    writer.write(request[1:])
    await read_answer(reader)

    entry = town.aimharder.ledger.of("/api/book")[0]
    assert (entry.request.first_byte_ns, entry.request.last_byte_ns) == (first_ns, first_ns + 2_000_000_000)


async def test_a_request_that_begins_in_the_last_packet_of_another_is_stamped_by_that_packet(
    town: Town, wire: Wire
) -> None:
    reader, writer = wire
    request = booking(town.member().cookies["amhrdrauth"])
    began_ns = town.clock()
    for piece in (request[:9], request[9:] + request[:9], request[9:]):
        writer.write(piece)
        await let_the_server_read(town)
        town.clock.turn(1)
    await read_answer(reader)
    await read_answer(reader)

    spans = [
        (entry.request.first_byte_ns - began_ns, (entry.request.last_byte_ns or 0) - began_ns)
        for entry in town.aimharder.ledger.of("/api/book")
    ]
    assert spans == [(0, 1_000_000_000), (1_000_000_000, 2_000_000_000)]


async def test_a_request_whose_first_byte_came_before_the_opening_is_too_early(town: Town, wire: Wire) -> None:
    reader, writer = wire
    town.hold()  # opens in a minute again
    request = booking(town.member().cookies["amhrdrauth"])
    writer.write(request[:-1])
    await let_the_server_read(town)
    town.open()
    writer.write(request[-1:])

    assert b"ERROR_ANTELACION_CLIENTE" in (await read_answer(reader))[1]


async def test_the_ledger_keeps_all_of_a_request_and_its_answer(town: Town) -> None:
    ana = town.member()
    answer = await ana.book(insist=1)

    (entry,) = (entry.as_json() for entry in town.aimharder.ledger.entries)
    cookie = entry.pop("cookie")
    assert "PHPSESSID=" in cookie
    assert entry == {
        "connection": 1,
        "method": "POST",
        "target": "/mygym/api/book",
        "box": "mygym",
        "path": "/api/book",
        "form": {"id": "501", "day": DAY, "insist": "1", "familyId": ""},
        "member": "ana@example.com",
        "first_byte_ns": town.clock(),
        "last_byte_ns": town.clock(),
        "decided": answer,
        "status": 200,
        "fault": None,
        "delivered": True,
        "answered_ns": town.clock(),
        "left_ns": None,
    }


async def test_by_default_stamps_are_wall_clock_nanoseconds() -> None:
    async with aimharder_server() as aimharder:
        before_ns = time.time_ns()
        reader, writer = await dial(aimharder)
        writer.write(b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_answer(reader)
        writer.close()

    request = aimharder.ledger.entries[0].request
    assert request.last_byte_ns is not None
    assert before_ns <= request.first_byte_ns <= request.last_byte_ns <= time.time_ns()


async def test_a_request_that_was_never_finished_is_in_the_ledger(town: Town, wire: Wire) -> None:
    _, writer = wire
    writer.write(booking(town.member().cookies["amhrdrauth"])[:-3])
    writer.close()
    await until_recorded(town, 1)

    entry = town.aimharder.ledger.entries[0]
    assert (entry.request.last_byte_ns, entry.decided, entry.member) == (None, None, "ana@example.com")
    assert entry.request.first_byte_ns == town.clock()
    assert town.aimharder.site.bookings() == []


async def test_requests_behind_a_hanging_one_wait_and_are_in_the_ledger(town: Town, wire: Wire) -> None:
    _, writer = wire
    town.aimharder.faults.add(Fault(kind="hang", times=1))
    request = booking(town.member().cookies["amhrdrauth"])
    writer.write(request + request)
    await until_recorded(town, 2)

    hanging, behind = town.aimharder.ledger.entries
    assert (hanging.decided["bookState"], behind.decided, behind.status) == (1, None, None)
    assert behind.request.last_byte_ns == town.clock()


async def test_requests_in_one_packet_are_answered_in_their_order(town: Town, wire: Wire) -> None:
    reader, writer = wire
    town.aimharder.faults.add(Fault(kind="slow", seconds=0.05, times=1))
    auth = town.member().cookies["amhrdrauth"]
    writer.write(booking(auth) + booking(auth) + b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
    bodies = [(await read_answer(reader))[1] for _ in range(3)]

    assert b'"bookState": 1' in bodies[0]
    assert b"NOPUEDESRESERVAMISMAHORA" in bodies[1]
    assert b'"data"' in bodies[2]
    assert {entry.request.connection for entry in town.aimharder.ledger.entries} == {1}


async def test_a_request_in_many_pieces_is_one_request(town: Town, wire: Wire) -> None:
    reader, writer = wire
    for byte in booking(town.member().cookies["amhrdrauth"]):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)

    assert b'"bookState": 1' in (await read_answer(reader))[1]
    assert len(town.aimharder.ledger.entries) == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000, 431),
    ],
)
async def test_what_cannot_be_framed_is_refused_and_ends_the_connection(
    town: Town, wire: Wire, request_bytes: bytes, status: int
) -> None:
    reader, writer = wire
    writer.write(request_bytes)

    assert (await read_answer(reader))[0] == status
    assert await reader.read() == b""
    assert town.aimharder.ledger.entries[0].status == status


@pytest.mark.parametrize("ending", [b"HTTP/1.0\r\nHost: x", b"HTTP/1.1\r\nHost: x\r\nConnection: Close"])
async def test_a_connection_ends_when_its_sender_wants_it(wire: Wire, ending: bytes) -> None:
    reader, writer = wire
    writer.write(b"GET /api/whoami " + ending + b"\r\n\r\n")

    assert (await read_answer(reader))[0] == 200
    assert await reader.read() == b""


@pytest.fixture
def _slow_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deciding takes 2 ms each, which would show in the stamps of whatever waited for it."""

    def decide_slowly(call: Call) -> Answer:
        time.sleep(0.002)
        return as_json(call.request.path)

    monkeypatch.setattr(routes, "answer", decide_slowly)


@pytest.mark.usefixtures("_slow_decisions")
async def test_what_arrives_while_two_hundred_others_are_handled_is_stamped_at_once() -> None:
    whoami = b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n\r\n"

    def write_the_last_while_the_first_are_answered(address: tuple[str, int]) -> int:
        with socket.create_connection(address) as crowd, socket.create_connection(address) as last:
            crowd.sendall(whoami * 200)
            assert crowd.recv(1024)
            sent_ns = time.time_ns()
            last.sendall(whoami)
            assert last.recv(1024)
            return sent_ns

    async with aimharder_server() as aimharder:
        host, _, port = aimharder.url.removeprefix("http://").partition(":")
        sent_ns = await asyncio.to_thread(write_the_last_while_the_first_are_answered, (host, int(port)))

    assert (aimharder.ledger.entries[-1].request.first_byte_ns - sent_ns) / 1e6 < 100


async def test_a_long_queue_behind_a_slow_answer_is_answered_whole(town: Town, wire: Wire) -> None:
    reader, writer = wire
    town.aimharder.faults.add(Fault(kind="slow", seconds=0.05, times=1))
    writer.write(b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n\r\n" * 600)

    assert {(await read_answer(reader))[0] for _ in range(600)} == {200}


SENDER = """
import socket, sys
address = (sys.argv[1], int(sys.argv[2]))
sockets = [socket.create_connection(address) for _ in range(300)]
print("prepared", flush=True)
sys.stdin.readline()
for sock in sockets:
    sock.sendall(b"GET /api/whoami HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
for sock in sockets:
    assert sock.recv(65536).startswith(b"HTTP/1.1 200")
"""


@pytest.mark.usefixtures("_slow_decisions")
async def test_three_hundred_requests_at_one_instant_are_stamped_before_they_are_handled() -> None:
    async with aimharder_server() as aimharder:
        host, _, port = aimharder.url.removeprefix("http://").partition(":")
        sender = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SENDER, host, port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert sender.stdout is not None
        await sender.stdout.readline()
        await sender.communicate(b"go\n")
        assert sender.returncode == 0

    entries = aimharder.ledger.entries
    stamps = [entry.request.first_byte_ns for entry in entries]
    answered = [entry.answered_ns or 0 for entry in entries]
    assert len(entries) == 300
    assert (max(stamps) - min(stamps)) / 1e6 < 150
    assert (max(answered) - min(answered)) / 1e6 > 590
    assert (stamps, answered) == (sorted(stamps), sorted(answered))
