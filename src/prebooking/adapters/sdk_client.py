"""The HTTP client that Supabase's and QStash's SDKs are given: httpx's to look at, our own HTTP/1.1 underneath.

The SDKs call `request`, and read status, headers and body of the response. Without httpx's redirects, cookies and
authentication such a call costs the service a third of the CPU.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import lru_cache
from typing import Any

import httpx

from prebooking.adapters.http11.client import Header, HttpClient
from prebooking.adapters.http11.connection import Response
from prebooking.adapters.http11.limited_body import ENCODING, unpacked
from prebooking.adapters.tls import trusted

_KEEP_ALIVE_S = 5.0  # as httpx: shorter than any server's
_LARGEST = 64 * 1024 * 1024  # bytes of a body
_DEFAULTS = (("Accept", "*/*"), ("Accept-Encoding", ENCODING), ("User-Agent", "prebooking"))
_OF_THE_CONNECTION = ("host", "content-length")
_ENCODED = "content-encoding"
_REPEATABLE = ("GET", "PUT", "DELETE")


@asynccontextmanager
async def open_sdk_client(
    *, connections: int = 100, on_response: Callable[[httpx.Response], None] | None = None
) -> AsyncIterator["SdkClient"]:
    """`on_response` is called within the task that asked. There is no timeout: each call has its caller's."""
    with closing(HttpClient(trusted(), keep_s=_KEEP_ALIVE_S, largest=_LARGEST)) as http:
        async with SdkClient(http, connections, on_response) as client:
            yield client


class SdkClient(httpx.AsyncClient):
    """Only `request` works, and not for HEAD: what no SDK needs raises NotImplementedError or TypeError."""

    def __init__(
        self, http: HttpClient, connections: int, on_response: Callable[[httpx.Response], None] | None
    ) -> None:
        super().__init__(transport=httpx.AsyncBaseTransport(), trust_env=False)
        self._http = http
        self._connections = asyncio.Semaphore(connections)
        self._on_response = on_response

    async def request(  # type: ignore[override]  # what no SDK passes is missing
        self,
        method: str,
        url: httpx.URL | str,
        *,
        params: Any = None,
        headers: Any = None,
        content: str | bytes | None = None,
        auth: object = None,  # noqa: ARG002  # httpx's own, which is none
    ) -> httpx.Response:
        """Raises httpx.ConnectError where nothing was sent, another httpx.RequestError; RuntimeError once it is closed.

        What may be asked twice, such as a DELETE, is asked again where the connection was lost.
        """
        if method == "HEAD":
            raise NotImplementedError
        request = httpx.Request(method, _parsed(str(url)), params=params or None, headers=headers)
        body = content.encode() if isinstance(content, str) else content or b""
        async with self._connections:
            try:
                answer = await self._ask(request, body)
            except (httpx.NetworkError, httpx.RemoteProtocolError) as exc:
                if isinstance(exc, httpx.ConnectError) or method not in _REPEATABLE:
                    raise
                try:
                    answer = await self._ask(request, body)
                except httpx.ConnectError as again:
                    raise exc from again  # the first may have been done
        response = httpx.Response(answer.status, headers=_headers(answer), content=_content(answer), request=request)
        if self._on_response is not None:
            self._on_response(response)
        return response

    async def _ask(self, request: httpx.Request, body: bytes) -> Response:
        if self.is_closed:
            raise RuntimeError("the client is closed")
        given = request.headers
        headers: list[Header] = [one for one in given.multi_items() if one[0] not in _OF_THE_CONNECTION]
        headers += [one for one in _DEFAULTS if one[0] not in given]
        url, _, query = str(request.url).partition("?")
        return await self._http.ask(request.method, url, headers, body, query=query)


def _headers(answer: Response) -> list[tuple[bytes, bytes]]:
    # Without the encoding: httpx would unpack once more.
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers if name != _ENCODED]


def _content(answer: Response) -> bytes:
    return unpacked(answer.body, answer.first(_ENCODED), _LARGEST)


@lru_cache(maxsize=256)  # there are few, and reading one takes a tenth of a call
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)
