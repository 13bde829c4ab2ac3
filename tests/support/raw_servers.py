"""Servers that see bytes: one that notes what arrives on each connection, and a proxy before it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """What came on one connection, read by read. Each request is one read here, and is answered."""

    receiver: "Receiver"
    chunks: list[bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.receiver.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        self.receiver.arrived.append(data)
        self.transport.write(ANSWER)


@dataclass
class Receiver:
    port: int = 0
    connections: list[Connection] = field(default_factory=list)
    arrived: list[bytes] = field(default_factory=list)  #: over all connections, in order

    def close_connections(self) -> None:
        for connection in self.connections:
            connection.transport.close()


@asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    running = Receiver()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(running), "127.0.0.1", 0, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        running.close_connections()
        server.close()


@dataclass
class Tunnels:
    """Carries bytes between its guests and one address, and can cut them all off."""

    port: int = 0
    connects: list[bytes] = field(default_factory=list)  #: the CONNECT lines it was sent
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    silent: bool = False  #: it loses what it should carry

    def cut(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()


@asynccontextmanager
async def tunnels(to_port: int, *, as_proxy: bool = False) -> AsyncIterator[Tunnels]:
    """`as_proxy`: it wants to be told by CONNECT where to, as an HTTP proxy does."""
    running = Tunnels()
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not running.silent:
                writer.write(data)
        writer.close()

    async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if as_proxy:
            running.connects.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inner, outer = await asyncio.open_connection("127.0.0.1", to_port)
        running.writers += [writer, outer]
        for work in (carry(reader, outer), carry(inner, writer)):
            task = asyncio.create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(guest, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        running.cut()
        if tasks:
            await asyncio.wait(tasks)
