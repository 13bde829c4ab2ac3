"""Pages that follow the members' prebookings while they are booked: connections that read, and no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.benchmarks.scene import Scene

from prebooking_local.stack import Member, Stack


@asynccontextmanager
async def open_streams(scene: Scene, number: int) -> AsyncIterator[None]:
    """`number` streams on the service, dealt out to the members in turn, all open and listening."""
    people = scene.people
    connections = [await open_stream(scene.stack, people[i % len(people)].member) for i in range(number)]
    readers = [asyncio.create_task(drain(reader)) for reader, _ in connections]
    try:
        yield
        assert not [reader for reader in readers if reader.done()], "a stream was cut off"
    finally:
        for reader in readers:
            reader.cancel()
        for _, writer in connections:
            writer.close()


async def open_stream(
    stack: Stack, member: Member, since: str | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`since`: the id of the last event that it knows of."""
    url = urlsplit(stack.service_url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    headers = stack.headers(member.email) | {"Host": url.netloc} | ({"Last-Event-ID": since} if since else {})
    lines = ["GET /prebookings/events HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return reader, writer


async def drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass
