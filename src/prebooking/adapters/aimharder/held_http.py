"""A request held on its open connection: all of it is built, and no byte of it leaves before `fire`."""

import asyncio
from collections.abc import Callable, Sequence

import httpx

from prebooking.adapters.http11.client import Header, HttpClient
from prebooking.adapters.http11.connection import HttpConnection, OnHead, Response, ignore


class Hold:
    """`now` stamps the write. `on_head`: see HttpConnection.expect."""

    def __init__(
        self,
        client: HttpClient,
        url: str,
        headers: Sequence[Header],
        body: bytes,
        now: Callable[[], float],
        on_head: OnHead = ignore,
    ) -> None:
        self._client = client
        self._url = url
        self._headers = headers
        self._body = body
        self._now = now
        self._on_head = on_head
        self._connection: HttpConnection | None = None
        self._is_answered = False
        self.may_be_cut_off = False  #: whether nothing told that its answer was complete
        self.fired_at: float | None = None  #: when it was written; None: it never left

    def replace(self, body: bytes) -> None:
        """Puts another body in the place of the one that it was held with."""
        self._body = body
        if self._connection is not None:
            self._build()

    async def ready(self) -> None:
        """Returns when only the write is left. Raises httpx.HTTPError where there is no connection."""
        self._build()
        self._connection = await self._client.connect(self._url)
        self._connection.expect(self._on_head)
        self._build()  # the body may have been replaced meanwhile

    def _build(self) -> None:
        self._request = self._client.build("POST", self._url, self._headers, self._body)

    async def lost(self) -> float:
        """Returns when its connection has ended: how many seconds that had been idle."""
        assert self._connection is not None
        await asyncio.shield(self._connection.ended)
        return self._connection.idle_s

    def fire(self) -> None:
        """Writes the request, unless its connection is gone."""
        if self._connection is not None and self._connection.is_open and self.fired_at is None:
            self.fired_at = self._now()
            self._connection.send(self._request)

    def warm(self) -> None:
        """Goes the way of `fire` without a write."""
        if self._connection is not None and self._connection.is_open and self.fired_at is None:
            self._now()
            self._connection.warm()

    async def answer(self) -> Response:
        """Raises httpx.HTTPError; httpx.WriteError where it never left."""
        if self._connection is None or self.fired_at is None:
            raise httpx.WriteError("the connection was closed before the request could be written")
        response = await self._connection.answer()
        self._is_answered = True
        self.may_be_cut_off = response.ends_with_connection
        return response

    def close(self) -> None:
        """Closes the connection. Once this request is answered, that may be another one's."""
        if self._connection is not None and not self._is_answered:
            self._connection.close()
