"""A pooler in transaction mode with one place: all its clients, one after the other, have the same session."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_READY, _TERMINATE, _SSL_REQUEST = b"Z", b"X", 80877103


@dataclass
class Pooler:
    """Signs in with its first client, and greets the others itself."""

    server: tuple[str, int]
    parameters: list[bytes] = field(default_factory=list)  #: what clients asked for as they came
    _greeting: list[bytes] = field(default_factory=list)
    _session: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            async with self._turn:
                await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await self._startup(reader, writer)
        self.parameters.append(startup)
        if self._session is None:
            self._session = await asyncio.open_connection(*self.server)
            self._session[1].write(startup)
        else:
            writer.write(b"".join(self._greeting))
        back = asyncio.create_task(self._back(self._session[0], writer))
        try:
            while (message := await _message(reader))[:1] != _TERMINATE:  # the session outlives its client
                self._session[1].write(message)
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        while True:
            length = await reader.readexactly(4)
            rest = await reader.readexactly(int.from_bytes(length) - 4)
            if int.from_bytes(rest[:4]) != _SSL_REQUEST:
                return length + rest
            writer.write(b"N")

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted = bool(self._greeting)
        while True:
            message = await _message(reader)
            kind = message[:1]
            signed_in = kind in (b"S", b"K", _READY) or message == b"R\0\0\0\x08\0\0\0\0"
            if not greeted and signed_in:
                self._greeting.append(message)
                greeted = kind == _READY
            writer.write(message)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


@asynccontextmanager
async def transaction_pooler(host: str, port: int) -> AsyncIterator[tuple[Pooler, int]]:
    """It, and its port."""
    pooler = Pooler((host, port))
    async with await asyncio.start_server(pooler.serve, "127.0.0.1", 0) as listening:
        try:
            yield pooler, listening.sockets[0].getsockname()[1]
        finally:
            if pooler._session is not None:
                pooler._session[1].close()
