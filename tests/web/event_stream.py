"""An event stream as a client reads it by `fetch`: bytes in, events out."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.support.world import World

TIMEOUT_S = 60.0


@dataclass(slots=True)
class Event:
    id: str
    name: str
    data: Any


@dataclass(slots=True)
class Stream:
    """As the HTML standard reads it, with the comments kept."""

    response: httpx.Response
    last_id: str = ""
    comments: list[str] = field(default_factory=list)
    _lines: AsyncIterator[str] | None = None

    async def next(self, within_s: float = TIMEOUT_S) -> Event:
        """The next event; raises StopAsyncIteration at the end of the stream, TimeoutError where none comes."""
        async with asyncio.timeout(within_s):
            name, data = "message", ""
            self._lines = self._lines or self.response.aiter_lines()
            while True:
                line = await anext(self._lines)
                kind, _, value = line.partition(": ")
                match kind:
                    case "" if not line and data:
                        return Event(self.last_id, name, json.loads(data))
                    case "" if line:
                        self.comments.append(value)
                    case "id":
                        self.last_id = value
                    case "event":
                        name = value
                    case "data":
                        data += value

    async def comment(self, within_s: float = TIMEOUT_S) -> None:
        """Reads on until another comment has come, and its id."""
        seen = len(self.comments)
        async with asyncio.timeout(within_s):
            self._lines = self._lines or self.response.aiter_lines()
            async for line in self._lines:
                kind, _, value = line.partition(": ")
                if not kind and line:
                    self.comments.append(value)
                elif kind == "id":
                    self.last_id = value
                elif not line and len(self.comments) > seen:
                    return


@asynccontextmanager
async def follow(
    world: World, email: str = "ana@example.com", last_id: str | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Stream]:
    """Open, and listening: the first bytes are there."""
    sent = dict(headers or world.speaking_for(email)) | ({"Last-Event-ID": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(base_url=world.url, timeout=TIMEOUT_S) as http,
        http.stream("GET", "/prebookings/events", headers=sent) as response,
    ):
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        await stream.comment()
        yield stream
