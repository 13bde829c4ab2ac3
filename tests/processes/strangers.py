"""What strangers may send: each attack is a coroutine that keeps one connection busy until it is cut off, or cancelled.

By hand, against a server of its own, with memory and the others' /healthz before and meanwhile:
`python -m tests.processes.strangers [--seconds 10] [--connections 100] [NAME …]`
"""

import argparse
import asyncio
import base64
import json
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from statistics import median
from urllib.parse import urlsplit

import psutil
from tests.support.percentiles import percentile

from prebooking_local.stack import UNLIMITED, Ports, Stack, outside, service

MIB = 1024 * 1024
Attack = Callable[["Wire"], Awaitable[None]]
_JUNK = 64 * 1024


class Wire:
    """A connection that sends as fast as it can, and reads only when asked to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent = 0

    async def send(self, data: bytes) -> None:
        """Raises OSError once the server has cut it off."""
        await asyncio.get_running_loop().sock_sendall(self.sock, data)
        self.sent += len(data)

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, 65536)

    async def for_ever(self, data: bytes, pause_s: float = 0.0) -> None:
        while True:
            await self.send(data)
            await asyncio.sleep(pause_s)


async def dial(url: str, *, receive_buffer: int | None = None) -> Wire:
    parts = urlsplit(url)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
    return Wire(sock)


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"{line} HTTP/1.1", "Host: service", *headers, "", "")).encode()


EXECUTE, FAILED = "POST /qstash/prebooking-execute", "POST /qstash/prebooking-failed"
CHUNKED = "Transfer-Encoding: chunked"
_SEGMENT = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")


async def trailers(wire: Wire) -> None:
    await wire.send(head(EXECUTE, CHUNKED) + b"0\r\n")
    await wire.for_ever(b"".join(b"X-%d: %s\r\n" % (n, b"x" * 50) for n in range(1000)))


async def one_trailer(wire: Wire) -> None:
    await wire.send(head(EXECUTE, CHUNKED) + b"0\r\nX: ")
    await wire.for_ever(b"x" * _JUNK)


async def chunk_extensions(wire: Wire) -> None:
    await wire.send(head(EXECUTE, CHUNKED) + b"1;")
    await wire.for_ever(b"a=b;" * (_JUNK // 4))


async def tiny_chunks(wire: Wire) -> None:
    await wire.send(head(EXECUTE, CHUNKED))
    await wire.for_ever(b"1\r\nx\r\n" * (_JUNK // 6))


async def head_without_end(wire: Wire) -> None:
    await wire.send(b"GET / HTTP/1.1\r\nX: ")
    await wire.for_ever(b"x" * _JUNK)


async def many_headers(wire: Wire) -> None:
    await wire.send(b"GET / HTTP/1.1\r\n")
    await wire.for_ever(b"a:\r\n" * (_JUNK // 4))


async def long_target(wire: Wire) -> None:
    await wire.send(b"GET /")
    await wire.for_ever(b"x" * _JUNK)


async def empty_lines(wire: Wire) -> None:
    await wire.for_ever(b"\r\n" * (_JUNK // 2))


async def garbage(wire: Wire) -> None:
    await wire.for_ever(b"\x16\x03\x01" + b"\0" * 8000)


async def unsigned_body(wire: Wire) -> None:
    """Just within what a callback may be, but for its end."""
    await wire.send(head(FAILED, f"Content-Length: {MIB}") + b"x" * (MIB - 1))
    await asyncio.sleep(3600)


async def badly_signed_body(wire: Wire) -> None:
    signed = f"Upstash-Signature: {_SEGMENT}.{_SEGMENT}.{_SEGMENT}"
    await wire.send(head(FAILED, signed, f"Content-Length: {MIB}") + b"x" * (MIB - 1))
    await asyncio.sleep(3600)


async def body_without_end(wire: Wire) -> None:
    await wire.send(head("POST /prebookings", CHUNKED))
    await wire.for_ever(b"10000\r\n" + b"x" * 65536 + b"\r\n")


async def body_of_a_get(wire: Wire) -> None:
    await wire.send(head("GET /healthz", "Content-Length: 100000000000"))
    await wire.for_ever(b"x" * _JUNK)


async def pipelined(wire: Wire) -> None:
    await wire.for_ever(b"GET /x HTTP/1.1\r\n\r\n" * 3000)


async def pipelined_unread(wire: Wire) -> None:
    await wire.for_ever(head("GET /openapi.json") * 50)


async def pipelined_bodies(wire: Wire) -> None:
    await wire.for_ever((head(EXECUTE, "Content-Length: 16000") + b"x" * 16000) * 4)


async def frozen_reader(wire: Wire) -> None:
    for _ in range(1000):
        await wire.send(head("GET /openapi.json"))
        await asyncio.sleep(0.05)


async def requests(wire: Wire) -> None:
    """As a client that keeps to all rules, and never pauses."""
    while True:
        await wire.send(head("GET /prebookings"))
        if not await wire.read():
            return


async def expecting(wire: Wire) -> None:
    await wire.send(head(FAILED, "Expect: 100-continue", f"Content-Length: {MIB}"))
    while await wire.read():
        pass


async def upgrades(wire: Wire) -> None:
    await wire.for_ever(head("GET /healthz", "Connection: upgrade", "Upgrade: websocket") * 20)


async def slow_head(wire: Wire) -> None:
    await wire.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 30_000)
    await wire.for_ever(b"x", 0.5)


async def slow_body(wire: Wire) -> None:
    await wire.send(head(EXECUTE, "Content-Length: 16000") + b"x" * 15_000)
    await wire.for_ever(b"x", 0.5)


async def idle(wire: Wire) -> None:
    await wire.read()


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(trailers, one_trailer, chunk_extensions, tiny_chunks, head_without_end, many_headers, long_target),
        *(empty_lines, garbage, unsigned_body, badly_signed_body, body_without_end, body_of_a_get, pipelined),
        *(pipelined_unread, pipelined_bodies, frozen_reader, requests, expecting, upgrades, slow_head, slow_body, idle),
    )
}


async def keep_on(url: str, attack: Attack, sent: list[int]) -> None:
    """Attacks for ever: whenever it is cut off, anew."""
    while True:
        wire = await dial(url, receive_buffer=4096 if "unread" in attack.__name__ or attack is frozen_reader else None)
        try:
            with suppress(OSError):
                await attack(wire)
        finally:
            sent[0] += wire.sent
            sent[1] += 1
            wire.sock.close()


def memory(pid: int) -> int:
    """Bytes that the service holds, whose leash has this id."""
    leash = psutil.Process(pid)
    return int(max(process.memory_info().rss for process in (leash, *leash.children(recursive=True))))


async def ask(url: str, took_s: list[float]) -> None:
    """Asks /healthz again and again, on a connection of its own each time."""
    while True:
        began = time.perf_counter()
        wire = await dial(url)
        try:
            await wire.send(head("GET /healthz", "Connection: close"))
            assert (await wire.read()).startswith(b"HTTP/1.1 200 ")
        finally:
            wire.sock.close()
        took_s.append(time.perf_counter() - began)
        await asyncio.sleep(0.01)


def witness(url: str, seconds: float, told: "Connection[list[float], None]") -> None:
    """Somebody else, in a process of their own: tells how long each answer took, in seconds."""
    took_s: list[float] = []

    async def watch() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(ask(url, took_s), seconds)

    asyncio.run(watch())
    told.send(took_s)


@dataclass(frozen=True, slots=True)
class Measured:
    before: int  #: bytes of the idle service
    most: int  #: bytes while it was attacked
    took_s: Sequence[float]  #: each answer to somebody else
    sent: int  #: bytes
    connections: int

    @property
    def p99_ms(self) -> float:
        return percentile(sorted(self.took_s), 99) * 1000


async def measure(stack: Stack, names: Sequence[str], *, connections: int, seconds: float) -> Measured:
    """One round: `names` share the connections."""
    pid = stack.processes["service"].pid
    before = most = memory(pid)
    receiver, sender = Pipe(duplex=False)
    watching = get_context("spawn").Process(target=witness, args=(stack.service_url, seconds, sender))
    watching.start()
    sent = [0, 0]
    attacks = [ATTACKS[names[n % len(names)]] for n in range(connections)]
    tasks = [asyncio.create_task(keep_on(stack.service_url, attack, sent)) for attack in attacks]
    try:
        while not receiver.poll():
            assert watching.is_alive(), "others are not answered"
            assert not [task for task in tasks if task.done()], "an attack has failed"
            most = max(most, memory(pid))
            await asyncio.sleep(0.1)
        return Measured(before, most, receiver.recv(), *sent)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        watching.join()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*ATTACKS, []])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=100)
    given = parser.parse_args()
    rounds = [[name] for name in given.names] or [[], *([name] for name in ATTACKS), list(ATTACKS)]
    async with outside(Ports(0, 0, 0, 0), LOG_LEVEL="ERROR", **UNLIMITED) as stack:
        for names in rounds:
            number = given.connections if names else 0
            async with service(stack):
                found = await measure(stack, names, connections=number, seconds=given.seconds)
            name = "none" if not names else "all" if len(names) > 1 else names[0]
            line = (
                f"{name:20} {found.before / MIB:5.0f} MB +{(found.most - found.before) / MIB:4.0f}"
                f"   /healthz p50 {median(found.took_s) * 1000:5.1f} p99 {found.p99_ms:6.1f} ms"
                f"   {found.sent / MIB:8.1f} MB in {found.connections:6} connections"
            )
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
