"""What anybody can send as a user, and what the key host could answer."""

import asyncio
import json
import time
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm
from starlette.requests import Request
from tests.fuzz.inputs import in_base64, inputs

from prebooking.adapters.key_set import KeySet
from prebooking.domain.prebooking import Page
from prebooking.web.auth import ALGORITHMS, Users
from prebooking.web.pagination import decode_cursor
from prebooking.web.problems import Problem
from prebooking.web.requests import read_json
from prebooking.web.schemas.requests import NewPrebooking

ISSUER = "https://project.supabase.co/auth/v1"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = json.loads(ECAlgorithm.to_jwk(KEY.public_key())) | {"kid": "a"}
_CLAIMS = {"iss": ISSUER, "aud": "authenticated", "role": "authenticated", "sub": "1", "exp": int(time.time()) + 10**6}
_WISH = {
    "box_subdomain": "mygym",
    "box_aimharder_id": 7,
    "booking_data": {"day": "20301128", "id": 501, "familyId": "", "insist": 0, "classTimeUTC": "2030-11-28T18:00:00Z"},
    "available_at": "2030-11-24T07:00:00Z",
}


class SilentHost(httpx.AsyncBaseTransport):
    def __init__(self, answer: bytes = b"") -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=self._answer)


def known_keys() -> KeySet:
    keys = KeySet(httpx.AsyncClient(transport=SilentHost()), "https://keys.test", ALGORITHMS)
    keys._keys, keys._asked, keys._heard = {"a": jwt.PyJWK(PUBLIC)}, time.monotonic(), True
    return keys


USERS = Users(issuer=ISSUER, keys=known_keys(), jwt_secret=None, service_key="service-key-0123456789")
LEGACY = Users(issuer=ISSUER, keys=known_keys(), jwt_secret="s" * 32, service_key=None)


class Refused:
    """Perhaps; and then so that the answer can be written."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = statuses

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, exc: BaseException | None, __: object) -> bool:
        if not isinstance(exc, Problem):
            return False
        assert exc.status in self._statuses
        assert json.dumps([exc.detail, exc.extra], ensure_ascii=False).encode(errors="strict")
        return True


async def _let_in(users: Users, headers: list[tuple[bytes, bytes]]) -> str | None:
    assert isinstance(users.keys, KeySet)
    users.keys._asked = time.monotonic()
    with Refused(401, 422):
        return await users.email(Request({"type": "http", "headers": headers}))
    return None


def an_authorization(data: bytes) -> None:
    """Without a good signature nobody comes in."""
    for users in (USERS, LEGACY):
        for sent in (data, b"Bearer " + data):
            assert asyncio.run(_let_in(users, [(b"authorization", sent)])) is None


def a_named_user(data: bytes) -> None:
    headers = [(b"authorization", b"Bearer service-key-0123456789"), (b"x-user-email", data)]
    email = asyncio.run(_let_in(USERS, headers))
    assert email is None or _usable(email)


def signed_claims(data: bytes) -> None:
    """Whatever is signed, who comes in has an e-mail that a database stores."""
    for users, key, algorithm in ((USERS, KEY, "ES256"), (LEGACY, "s" * 32, "HS256")):
        token = jwt.PyJWS().encode(data, key, algorithm, headers={"kid": "a"})
        email = asyncio.run(_let_in(users, [(b"authorization", b"Bearer " + token.encode())]))
        assert email is None or _usable(email)


def _usable(email: str) -> bool:
    return email == email.lower() and email.isprintable() and 3 <= len(email.encode()) <= 1100 and " " not in email


def a_key_set(data: bytes) -> None:
    async def fetch() -> KeySet:
        async with httpx.AsyncClient(transport=SilentHost(data)) as http:
            keys = KeySet(http, "https://keys.test", ALGORITHMS)
            await keys._fetch()
            return keys

    keys = asyncio.run(fetch())
    assert keys._heard is (keys._keys is not None)
    assert all(key.algorithm_name in ("ES256", "RS256") for key in (keys._keys or {}).values())


def a_cursor(data: bytes) -> None:
    with Refused(422):
        page = decode_cursor(data.decode("latin-1"))
        assert isinstance(page, Page)
        assert page.created_at.isoformat()


def a_wish(data: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def read() -> NewPrebooking | None:
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
        with Refused(400, 422):
            return await read_json(Request(scope, receive), NewPrebooking)
        return None

    wish = asyncio.run(read())
    if wish is not None:
        row = json.dumps([wish.box_subdomain, wish.box_aimharder_id, wish.booking_data.as_row()])
        assert "\\u0000" not in row
        assert "\\ud8" not in row


_TOKEN = jwt.encode(
    _CLAIMS | {"email": "ana@example.com"}, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": "a"}
)
_GOOD = json.dumps(_CLAIMS | {"email": "ana@example.com"}).encode()
_NAMES = (*_CLAIMS, "email", "is_anonymous", "email_verified", "nbf", "iat", "jti")
_CURSOR = b'["2026-11-22T07:00:00+00:00", "00000000-0000-4000-8000-000000000000"]'
TARGETS: dict[str, tuple[Any, st.SearchStrategy[bytes]]] = {
    "an authorization": (an_authorization, inputs(b"Bearer " + _TOKEN.encode(), _TOKEN.encode())),
    "a named user": (a_named_user, inputs(b"ana@example.com", "josé@example.com".encode())),
    "a token's claims": (signed_claims, inputs(_GOOD, names=_NAMES)),
    "a key set": (
        a_key_set,
        inputs(json.dumps({"keys": [PUBLIC]}).encode(), names=("keys", "kty", "kid", "crv", "x", "y", "alg", "n", "e")),
    ),
    "a cursor": (a_cursor, inputs(_CURSOR) | in_base64(inputs(_CURSOR, names=("a",)))),
    "a wish": (a_wish, inputs(json.dumps(_WISH).encode(), names=(*_WISH, "day", "id", "familyId", "insist"))),
}
