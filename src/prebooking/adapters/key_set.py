"""Supabase's public keys: fetched when needed, and kept while their host does not respond.

A request with a known key never waits: an old set is refreshed in the background. There is one fetch at a time, and at
most one every 30 s, however many unknown key ids are requested.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import jwt
import structlog

from prebooking.domain.errors import KeysUnavailableError

_log = structlog.get_logger()

_FETCH_S = 2.0
_LIVE_S = 300.0
_FETCH_AGAIN_S = 30.0
_FIRST_TIME_AGAIN_S = 2.0  # until the first response of the key host no user can be authenticated
_LARGEST_SET = 64 * 1024


@asynccontextmanager
async def open_key_set(
    url: str, trusted: ssl.SSLContext, algorithms: Collection[str], now: Callable[[], float] = time.monotonic
) -> AsyncIterator["KeySet"]:
    # No compression, so that a response of bounded size stays bounded.
    headers = {"Accept-Encoding": "identity"}
    async with httpx.AsyncClient(verify=trusted, timeout=_FETCH_S, trust_env=False, headers=headers) as http:
        keys = KeySet(http, url, algorithms, now)
        try:
            yield keys
        finally:
            await keys.aclose()


class KeySet:
    """The keys by their ids. Keys of other algorithms than `algorithms` are ignored. `now`: a clock of seconds, by
    which they age.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        algorithms: Collection[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._url = url
        self._algorithms = algorithms
        self._now = now
        self._keys: dict[str, jwt.PyJWK] | None = None  # None: the key host has never responded
        self._asked = float("-inf")
        self._heard = False  # whether the last fetch got an answer
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """Returns the key, or None if Supabase publishes no such key. Raises KeysUnavailableError."""
        known = (self._keys or {}).get(key_id)
        if known is not None:
            if self._age > _LIVE_S:
                self._fetch_unless_just_done()
            return known
        fetching = self._fetch_unless_just_done()
        if fetching is not None:
            await asyncio.shield(fetching)  # others wait for it, too
        known = (self._keys or {}).get(key_id)
        if known is None and not self._heard:
            raise KeysUnavailableError(self._pause - self._age)
        return known

    async def aclose(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching

    @property
    def _age(self) -> float:
        return self._now() - self._asked

    @property
    def _pause(self) -> float:
        return _FIRST_TIME_AGAIN_S if self._keys is None else _FETCH_AGAIN_S

    def _fetch_unless_just_done(self) -> asyncio.Task[None] | None:
        """Starts a fetch, unless one has just ended. Returns the fetch under way, if any."""
        if self._fetching is None and self._age > self._pause:
            self._asked = self._now()
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_S):  # httpx's own limit is for each read
                self._keys = self._keys_of(json.loads(await self._read()))
            self._heard = True
        except Exception as exc:  # noqa: BLE001  # on any error the known keys stay
            self._heard = False
            _log.warning("key_set_unavailable", url=self._url, reason=type(exc).__name__)

    async def _read(self) -> bytes:
        async with self._http.stream("GET", self._url) as answer:
            answer.raise_for_status()
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > _LARGEST_SET:
                    raise ValueError(f"a key set of over {_LARGEST_SET} bytes")
            return bytes(body)

    def _keys_of(self, key_set: Any) -> dict[str, jwt.PyJWK]:
        if not key_set["keys"]:  # a project that signs with HS256 alone publishes none
            return {}
        keys = jwt.PyJWKSet.from_dict(key_set).keys
        return {
            key.key_id: key for key in keys if isinstance(key.key_id, str) and key.algorithm_name in self._algorithms
        }
