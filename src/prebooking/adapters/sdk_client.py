"""The HTTP client that Supabase's and QStash's SDKs are given: httpx's to look at, aiohttp underneath.

The SDKs call `request`, and read status, headers and body of the response. By aiohttp's parser in C, without httpx's
redirects, cookies and authentication, such a call costs the service half the CPU. HTTP/1.1, because HTTP/2's GOAWAY
would surface as a lost call.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import aiohttp
import httpx

from prebooking.adapters.tls import trusted

_KEEP_ALIVE_S = 5.0  # as httpx: shorter than any server's


@asynccontextmanager
async def open_sdk_client(
    *, connections: int = 100, on_response: Callable[[httpx.Response], None] | None = None
) -> AsyncIterator["SdkClient"]:
    """`on_response` is called within the task that asked. There is no timeout: each call has its caller's."""
    connector = aiohttp.TCPConnector(ssl=trusted(), limit=connections, keepalive_timeout=_KEEP_ALIVE_S)
    no_timeout = aiohttp.ClientTimeout(total=None, sock_connect=None)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=no_timeout) as session,
        SdkClient(session, on_response) as client,
    ):
        yield client


class SdkClient(httpx.AsyncClient):
    """Any other method than `request` raises NotImplementedError."""

    def __init__(self, session: aiohttp.ClientSession, on_response: Callable[[httpx.Response], None] | None) -> None:
        super().__init__(transport=httpx.AsyncBaseTransport(), trust_env=False)
        self._session = session
        self._on_response = on_response

    async def aclose(self) -> None:
        await super().aclose()
        await self._session.close()

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
        """Raises httpx.ConnectError, httpx.ReadError; RuntimeError once it is closed.

        What may be asked twice, such as a DELETE, is sent again where a kept connection was closed meanwhile.
        """
        request = httpx.Request(method, _parsed(str(url)), params=params or None, headers=headers)
        try:
            async with self._session.request(
                method, str(request.url), headers=headers, data=content, allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as exc:
            raise httpx.ConnectError(str(exc), request=request) from exc
        except aiohttp.ClientError as exc:
            raise httpx.ReadError(str(exc), request=request) from exc
        # aiohttp has unpacked the body already.
        kept = [(name, value) for name, value in answer.raw_headers if name.lower() != b"content-encoding"]
        response = httpx.Response(answer.status, headers=kept, content=body, request=request)
        if self._on_response is not None:
            self._on_response(response)
        return response


@lru_cache(maxsize=256)  # there are few, and reading one takes a tenth of a call
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)
