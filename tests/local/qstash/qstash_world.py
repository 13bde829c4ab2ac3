"""A QStash server with a clock of its own, the unmodified SDK towards it, and a destination that records."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from qstash import AsyncQStash
from starlette.types import ASGIApp, Receive, Scope, Send

from prebooking_local.qstash import DEV_TOKEN, QStash, qstash_app
from prebooking_local.serving import serve_asgi

Reply = tuple[int, dict[str, str]]
_WITHIN_S = 60


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()
        self._moved = asyncio.Event()

    def time(self) -> float:
        return self.now

    async def pause(self, seconds: float, woken: asyncio.Event) -> None:
        assert seconds > 0
        waits = [asyncio.create_task(event.wait()) for event in (woken, self._moved)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self._moved.set()
        self._moved = asyncio.Event()


@dataclass
class Delivery:
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.headers["upstash-signature"], options={"verify_signature": False})
        return claims


@dataclass
class Destination:
    """Answers with the replies given, in order, and with 200 after the last."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)  # while unset, answers are held back
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _conversations: set[asyncio.Task[None]] = field(default_factory=set)

    async def received(self, count: int = 1) -> list[Delivery]:
        async with asyncio.timeout(_WITHIN_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        self.open.set()
        server = await asyncio.start_server(self._begin, "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield
        self.open.set()
        await asyncio.gather(*self._conversations)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in lines if text)}
            body = await reader.readexactly(int(headers["content-length"]))
            status, extra = self.replies.pop(0) if self.replies else (200, {})
            async with self._arrived:
                self.deliveries.append(Delivery(line, headers, body))
                self._arrived.notify_all()
            await self.open.wait()
            head = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
            writer.write(f"HTTP/1.1 {status} X\r\n{head}Content-Length: 6\r\n\r\nanswer".encode())
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@dataclass
class Front:
    """A listening server and its clients; each test puts its own application behind it."""

    app: ASGIApp
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Front"]:
        headers = {"Authorization": f"Bearer {DEV_TOKEN}"}
        async with serve_asgi(self, host="127.0.0.1", port=0) as self.url:
            self.sdk = AsyncQStash(DEV_TOKEN, base_url=self.url, retry=False)
            async with self.sdk.http._client, httpx.AsyncClient(base_url=self.url, headers=headers) as self.http:
                yield self


@dataclass
class World:
    url: str
    qstash: QStash
    sdk: AsyncQStash
    http: httpx.AsyncClient
    target: Destination
    clock: ManualClock

    async def publish(self, path: str = "/x", **options: Any) -> str:
        """Publishes to the destination; the message's id."""
        answer = await self.sdk.message.publish_json(url=self.target.url + path, **options)
        assert not isinstance(answer, list)
        return answer.message_id

    async def fault(self, **switches: Any) -> None:
        (await self.http.post("/_control/faults", json=switches)).raise_for_status()

    async def message(self, message_id: str) -> dict[str, Any]:
        """All that the server knows of it."""
        return next(one for one in await self.messages() if one["messageId"] == message_id)

    async def messages(self) -> list[dict[str, Any]]:
        lists = (await self.http.get("/_control/messages")).json()
        return [*lists["pending"], *lists["finished"]]

    async def reaches(self, message_id: str, state: str) -> dict[str, Any]:
        return await self.comes_true(message_id, lambda message: message["state"] == state)

    async def attempted(self, message_id: str, times: int) -> dict[str, Any]:
        """Once that many attempts are over and it waits for the next."""
        return await self.comes_true(
            message_id, lambda message: len(message["attempts"]) == times and message["state"] != "active"
        )

    async def comes_true(self, message_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(_WITHIN_S):
            while not condition(message := await self.message(message_id)):
                pass
        return message

    async def retry_wait(self, message_id: str) -> float:
        """How long the newest failed attempt waits for the next, in seconds."""
        events = (await self.http.get("/v2/events", params={"messageId": message_id})).json()["events"]
        retry = next(event for event in events if event["state"] == "RETRY")
        return float(retry["nextDeliveryTime"] - retry["time"]) / 1000


@asynccontextmanager
async def qstash_world(front: Front, **settings: Any) -> AsyncIterator[World]:
    clock = ManualClock()
    target = Destination()
    async with target.listening(), qstash_app(**{"clock": clock, **settings}) as qstash:
        front.app = qstash.app
        yield World(front.url, qstash, front.sdk, front.http, target, clock)
