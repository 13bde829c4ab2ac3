"""The client of QStash's SDK over an HTTP client of ours: the SDK's own uses the proxies of the environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from qstash import AsyncQStash
from qstash.asyncio.dlq import AsyncDlqApi
from qstash.asyncio.http import AsyncHttpClient
from qstash.asyncio.message import AsyncMessageApi
from qstash.asyncio.schedule import AsyncScheduleApi
from qstash.asyncio.signing_key import AsyncSigningKeyApi
from qstash.http import NO_RETRY

from prebooking.adapters.sdk_client import open_sdk_client


@asynccontextmanager
async def open_client(url: str, token: str) -> AsyncIterator[AsyncQStash]:
    async with open_sdk_client() as http:
        yield _QStash(_Http(http, url, token))


class _Http(AsyncHttpClient):
    def __init__(self, http: httpx.AsyncClient, url: str, token: str) -> None:
        self._client = http
        self._base_url = url
        self._token = f"Bearer {token}"
        self._retry = NO_RETRY


class _QStash(AsyncQStash):
    """The part of the SDK's client that is used here."""

    def __init__(self, http: AsyncHttpClient) -> None:
        self.http = http
        self.message = AsyncMessageApi(http)
        self.schedule = AsyncScheduleApi(http)
        self.signing_key = AsyncSigningKeyApi(http)
        self.dlq = AsyncDlqApi(http)
