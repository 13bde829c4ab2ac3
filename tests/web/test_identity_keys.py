"""Supabase's public keys: fetched when needed, and kept while their host is silent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prebooking.local.serving import serve_asgi
from prebooking.web.auth import KeySet, open_key_set
from prebooking.web.problems import Problem


class KeyHost:
    """Publishes keys, and counts who asks."""

    def __init__(self) -> None:
        self.answer: Any = {"keys": []}
        self.status = 200
        self.asked = 0
        self.hears = asyncio.Event()
        self.hears.set()

    async def key_set(self, _: Request) -> Response:
        self.asked += 1
        await self.hears.wait()
        return JSONResponse(self.answer, self.status)

    def publish(self, *key_ids: str) -> None:
        public = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
        self.answer = {"keys": [public | {"kid": key_id} for key_id in key_ids]}


@asynccontextmanager
async def key_host() -> AsyncIterator[tuple[KeyHost, KeySet]]:
    host = KeyHost()
    app = Starlette(routes=[Route("/keys", host.key_set)])
    async with serve_asgi(app, host="127.0.0.1", port=0) as url, open_key_set(f"{url}/keys") as keys:
        yield host, keys


async def test_a_flood_of_unknown_keys_asks_the_key_host_once() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        found = await asyncio.gather(*(keys.key(f"unknown-{n}") for n in range(20)), keys.key("a"))
        assert found[:20] == [None] * 20
        assert found[20] is not None
        assert host.asked == 1


async def test_a_thousand_unknown_keys_cost_one_fetch_in_30_s_for_which_no_known_one_waits() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        assert await keys.key("a")
        for fetches in (2, 3):
            host.hears.clear()
            keys._fetched -= 31
            flood = [asyncio.create_task(keys.key(f"unknown-{n}")) for n in range(1000)]
            async with asyncio.timeout(1):
                while host.asked < fetches:
                    await asyncio.sleep(0)
            assert await asyncio.wait_for(keys.key("a"), 0.1)
            host.hears.set()
            assert await asyncio.gather(*flood) == [None] * 1000
            assert host.asked == fetches


async def test_a_rolled_key_is_found_and_a_withdrawn_one_is_gone() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        assert await keys.key("a")
        host.publish("b")
        assert await keys.key("b") is None  # asked a moment ago
        keys._fetched -= 31
        assert await keys.key("b")
        assert await keys.key("a") is None


@pytest.mark.parametrize(("status", "answer"), [(503, {}), (200, []), (200, {}), (200, {"keys": [{"kty": "?"}]})])
async def test_known_keys_outlive_a_silent_key_host_and_unknown_ones_are_not_called_wrong(
    status: int, answer: Any
) -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        assert await keys.key("a")
        host.status, host.answer = status, answer
        keys._fetched -= 3600
        assert await keys.key("a")
        with pytest.raises(Problem, match="try again") as refused:
            await keys.key("b")
        assert refused.value.status == 503
        host.status = 200
        host.publish("b")
        keys._fetched -= 3
        assert await keys.key("b")
