"""The least that a service has to do for one prebooking: claim, one listing, begin, and the write at the opening.

No framework, no client library, no signature, no second try, nothing recorded of the answer: the same calls, in the
same order. Its capacity is what these cores allow, with Postgres, its HTTP gateway, QStash and the gym on them as well.
"""

import asyncio
import contextlib
import gc
import json
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

_DATABASE_CONNECTIONS = 8  # as many as the service has
_SPIN_S = 0.003
_BUDGET_S = float(os.environ["MAX_DURATION_SECONDS"]) - 2
_AFTER_OPENING_S = 3.0
_KEY = os.environ["SUPABASE_SECRET_KEY"]


class Connection:
    """One HTTP/1.1 connection, kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader = reader
        self.writer = writer
        self.host = host

    @classmethod
    async def open(cls, url: str) -> "Connection":
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        return cls(*await asyncio.open_connection("127.0.0.1", port), f"{host}:{port}")

    def request(self, line: str, headers: str, body: bytes) -> bytes:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return f"{line} HTTP/1.1\r\nHost: {self.host}\r\n{headers}{length}\r\n".encode() + body

    async def answer(self) -> bytes:
        return (await _read(self.reader))[1]


class Database:
    """PostgREST, over a few connections."""

    def __init__(self) -> None:
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._url = os.environ["SUPABASE_URL"]

    async def open(self) -> None:
        for _ in range(_DATABASE_CONNECTIONS):
            self._free.put_nowait(await Connection.open(self._url))

    async def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        connection = await self._free.get()
        if connection.reader.at_eof():  # the server has closed it
            connection = await Connection.open(self._url)
        try:
            body = json.dumps({f"p_{name}": value for name, value in arguments.items()}).encode()
            headers = f"apikey: {_KEY}\r\nAuthorization: Bearer {_KEY}\r\nContent-Type: application/json\r\n"
            connection.writer.write(connection.request(f"POST /rest/v1/rpc/{function}", headers, body))
            answer: dict[str, Any] = json.loads(await connection.answer())
            return answer
        finally:
            self._free.put_nowait(connection)


@dataclass(slots=True)
class Waiting:
    order: str
    write: Any
    request: bytes


class Gate:
    """Sleeps, spins, and writes in the order of creation."""

    def __init__(self) -> None:
        self._waiting: dict[float, list[Waiting]] = {}
        self._open: dict[float, asyncio.Task[None]] = {}

    async def wait(self, opening: float, waiting: Waiting) -> None:
        self._waiting.setdefault(opening, []).append(waiting)
        if opening not in self._open:
            self._open[opening] = asyncio.create_task(self._opened(opening))
        await self._open[opening]

    async def _opened(self, opening: float) -> None:
        while (left := opening - _SPIN_S - time.time()) > 0:
            await asyncio.sleep(left * 0.9 if left > 0.02 else left)
        gc.disable()
        ready = sorted(self._waiting.pop(opening), key=lambda one: one.order)
        while time.time() < opening:
            pass
        for one in ready:
            one.write(one.request)
        gc.enable()
        del self._open[opening]


class Service:
    def __init__(self) -> None:
        self._database = Database()
        self._gate = Gate()
        self._box_url = os.environ["AIMHARDER_BOX_URL"].replace("{box}", "mygym")

    async def serve(self) -> None:
        await self._database.open()
        server = await asyncio.start_server(self._connected, "127.0.0.1", int(os.environ["PORT"]), backlog=4096)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                line, body = await _read(reader)
                if line.startswith(b"POST "):
                    await self._execute(json.loads(body))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    async def _execute(self, message: dict[str, Any]) -> None:
        row_id, token, arrived = message["prebooking_id"], str(uuid4()), time.time()
        claim = await self._database.call(
            "claim_prebooking",
            id=row_id,
            token=token,
            version=message["version"],
            horizon_seconds=_BUDGET_S - _AFTER_OPENING_S,
            max_attempts=5,
        )
        row, opening = claim["prebooking"], message["opening"]
        data, cookies = row["booking_data"], claim["session"]["cookies"]
        cookie = "; ".join(f"{one['name']}={one['value']}" for one in cookies)
        gym = await Connection.open(self._box_url)
        query = urlencode({"day": data["day"], "familyId": "", "box": row["box_aimharder_id"]})
        gym.writer.write(gym.request(f"GET /api/bookings?{query}", f"Cookie: {cookie}\r\n", b""))
        json.loads(await gym.answer())
        form = urlencode({"id": data["id"], "day": data["day"], "insist": 0, "familyId": ""}).encode()
        headers = f"Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        request = gym.request("POST /api/book", headers, form)
        lease_s = _BUDGET_S + 12 - (time.time() - arrived)
        await self._database.call(
            "begin_booking", id=row_id, token=token, lease_seconds=lease_s, max_attempts=5, settled=False
        )
        await self._gate.wait(opening, Waiting(row["created_at"], gym.writer.transport.write, request))
        await gym.answer()
        gym.writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Returns the head and the body of a message with a length, or in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if fields.get(b"transfer-encoding") != b"chunked":
        return head, await reader.readexactly(int(fields.get(b"content-length", 0)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return head, body


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Service().serve())
