"""Supabase's public keys: fetched when needed, kept while their host is silent, and nobody waits who need not."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from prebooking.adapters.key_set import KeySet, open_key_set
from prebooking.adapters.tls import trusted
from prebooking.domain.errors import KeysUnavailableError
from prebooking.web.auth import ALGORITHMS, Users
from prebooking.web.problems import Problem
from prebooking_local.serving import serve_asgi

ISSUER = "https://project.supabase.co/auth/v1"
PRIVATE = ec.generate_private_key(ec.SECP256R1())


class KeyHost:
    """Publishes keys, and counts who asks."""

    def __init__(self) -> None:
        self.answer: bytes | None = b'{"keys": []}'
        self.status = 200
        self.headers: dict[str, str] = {}
        self.drips = False
        self.asked = 0
        self.awake = asyncio.Event()  #: it answers
        self.awake.set()

    async def key_set(self, _: Request) -> Response:
        self.asked += 1
        await self.awake.wait()
        if self.answer is None:
            return StreamingResponse(self._dripping() if self.drips else self._endless(), self.status)
        return Response(self.answer, self.status, self.headers)

    async def _endless(self) -> AsyncIterator[bytes]:
        """As good as: 64 MiB, whose length it doesn't tell."""
        for _ in range(1024):
            yield b" " * 65536

    async def _dripping(self) -> AsyncIterator[bytes]:
        """Never silent for long, and never done."""
        while True:
            yield b" "
            await asyncio.sleep(0.2)

    def publish(self, *key_ids: str, key: ec.EllipticCurvePrivateKey = PRIVATE) -> None:
        public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        self.answer = json.dumps({"keys": [public | {"kid": key_id} for key_id in key_ids]}).encode()


@asynccontextmanager
async def key_host() -> AsyncIterator[tuple[KeyHost, KeySet]]:
    host = KeyHost()
    app = Starlette(routes=[Route("/keys", host.key_set)])
    async with (
        serve_asgi(app, host="127.0.0.1", port=0) as url,
        open_key_set(f"{url}/keys", trusted(), ALGORITHMS) as keys,
    ):
        try:
            yield host, keys
        finally:
            host.awake.set()


def users(keys: KeySet) -> Users:
    return Users(issuer=ISSUER, keys=keys, jwt_secret=None, service_key=None)


def asking(key_id: str, key: Any = PRIVATE, algorithm: str = "ES256") -> Request:
    """A request with a token of Ana's."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    said = {"iss": ISSUER, "aud": "authenticated", "role": "authenticated", "sub": "1", "email": "ana@example.com"}
    token = jwt.encode(said | {"exp": expires}, key, algorithm, headers={"kid": key_id})
    return Request({"type": "http", "headers": [(b"authorization", b"Bearer " + token.encode())]})


def aged(keys: KeySet, seconds: float) -> None:
    keys._asked -= seconds


async def fetched(keys: KeySet) -> None:
    """The fetch that goes on beside the requests has ended."""
    while keys._fetching is not None:
        await asyncio.sleep(0.001)


async def test_a_flood_of_unknown_keys_asks_the_key_host_once_in_thirty_seconds_and_valid_users_do_not_wait() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        let_in = users(keys)
        assert await let_in.email(asking("a")) == "ana@example.com"
        floods, took = [asking(f"unknown-{n}") for n in range(1000)], []

        async def flood(request: Request) -> None:
            with pytest.raises(Problem) as refused:
                await let_in.email(request)
            assert refused.value.status == 401

        async def valid() -> None:
            for request in [asking("a") for _ in range(200)]:
                began = time.perf_counter()
                assert await let_in.email(request) == "ana@example.com"
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0)

        await asyncio.gather(valid(), *(flood(request) for request in floods))
        assert host.asked == 1
        aged(keys, 31)
        host.awake.clear()  # now it is slow, too
        flooding = asyncio.gather(*(flood(request) for request in floods))
        await valid()
        host.awake.set()
        await flooding
        assert host.asked == 2
        assert sorted(took)[len(took) // 2] < 0.005  # the check of a signature, not a fetch


async def test_a_rolled_key_is_found_within_thirty_seconds_and_a_withdrawn_one_is_gone_with_the_set() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        assert await keys.key("a")
        host.publish("b", "a")
        assert await keys.key("b") is None  # asked a moment ago
        aged(keys, 31)
        assert await keys.key("b")
        assert await keys.key("a")
        host.publish("b")
        aged(keys, 301)
        assert await keys.key("a")  # an old set is not waited for
        await fetched(keys)
        assert await keys.key("a") is None
        assert await keys.key("b")
        assert host.asked == 3


async def test_an_old_set_is_fetched_anew_once_beside_those_who_ask_and_none_of_them_waits() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        assert await keys.key("a")
        host.awake.clear()
        aged(keys, 301)
        async with asyncio.timeout(1):
            for _ in range(100):
                assert await keys.key("a")
                await asyncio.sleep(0)
        host.awake.set()
        await fetched(keys)
        assert host.asked == 2


async def test_those_who_wait_for_the_first_set_wait_for_one_fetch_though_one_of_them_leaves() -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        host.awake.clear()
        waiting = [asyncio.create_task(keys.key("a")) for _ in range(20)]
        while not host.asked:
            await asyncio.sleep(0.001)
        waiting[0].cancel()
        host.awake.set()
        assert all(await asyncio.gather(*waiting[1:]))
        assert host.asked == 1


OTHER = json.loads(ECAlgorithm.to_jwk(PRIVATE.public_key()))


@pytest.mark.parametrize(
    ("status", "answer", "headers"),
    [
        *((status, b"{}", {}) for status in (503, 404, 500)),
        (302, b"", {"Location": "https://evil.example.com/keys"}),
        *(
            (200, answer, {})
            for answer in (b"", b"[]", b"{}", b"null", b"<html>", b"\xff", b"[" * 50_000, b'{"keys": 5}')
        ),
        *(
            (200, b'{"keys": [' + one + b"]}", {})
            for one in (b"5", b"null", b"{}", b'{"kty": "?"}', b'{"kty": ["EC"]}')
        ),
        (200, json.dumps({"keys": [OTHER | {"x": "AAAA", "kid": "a"}]}).encode(), {}),
        (200, b" " * 70_000 + b'{"keys": []}', {}),
        (200, None, {}),
        (200, gzip.compress(b" " * 10_000_000 + b'{"keys": []}', mtime=0), {"Content-Encoding": "gzip"}),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_known_keys_outlive_a_key_host_that_says_nothing_and_unknown_ones_are_not_called_wrong(
    status: int, answer: bytes | None, headers: dict[str, str]
) -> None:
    async with key_host() as (host, keys):
        host.publish("a")
        assert await keys.key("a")
        host.status, host.answer, host.headers = status, answer, headers
        aged(keys, 3600)
        assert await keys.key("a")
        with pytest.raises(Problem, match="try again") as refused:
            await users(keys).email(asking("b"))
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "30"})
        assert await keys.key("a")
        host.status, host.headers = 200, {}
        host.publish("b")
        aged(keys, 31)
        assert await keys.key("b")


async def test_before_the_first_set_it_is_asked_for_every_two_seconds() -> None:
    async with key_host() as (host, keys):
        host.status = 503
        for _ in range(5):
            with pytest.raises(Problem) as refused:
                await users(keys).email(asking("a"))
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
        assert host.asked == 1
        host.status = 200
        host.publish("a")
        aged(keys, 2.1)
        assert await keys.key("a")


@pytest.mark.parametrize("drips", [False, True])
async def test_a_key_host_that_never_ends_keeps_nobody_for_longer_than_two_seconds(drips: bool) -> None:  # noqa: FBT001
    async with key_host() as (host, keys):
        host.answer, host.drips = None, drips
        if not drips:
            host.awake.clear()
        async with asyncio.timeout(3):
            with pytest.raises(KeysUnavailableError):
                await keys.key("a")


async def test_the_key_decides_how_it_signs_and_what_is_no_key_for_signatures_is_none() -> None:
    elliptic, long = json.loads(ECAlgorithm.to_jwk(PRIVATE.public_key())), rsa.generate_private_key(65537, 2048)
    numbers = json.loads(RSAAlgorithm.to_jwk(long.public_key()))
    async with key_host() as (host, keys):
        published = [
            *(elliptic | {"kid": "ec"}, numbers | {"kid": "rsa"}, numbers | {"kid": "rsa-512", "alg": "RS512"}),
            *({"kty": "oct", "k": "AAAA", "kid": "oct"}, elliptic | {"kid": 5}, elliptic),
        ]
        host.answer = json.dumps({"keys": published}).encode()
        let_in = users(keys)
        assert await let_in.email(asking("ec")) == "ana@example.com"
        assert await let_in.email(asking("rsa", long, "RS256")) == "ana@example.com"
        assert set(keys._keys or ()) == {"ec", "rsa"}
        for key_id, key, algorithm in (("rsa", PRIVATE, "ES256"), ("ec", long, "RS256"), ("rsa", long, "RS512")):
            with pytest.raises(Problem) as refused:
                await let_in.email(asking(key_id, key, algorithm))
            assert refused.value.status == 401
