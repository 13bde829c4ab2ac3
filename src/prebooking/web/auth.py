"""Who is asking: a signed-in user by Supabase's access token, or a trusted server by the service key."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import structlog
from starlette.requests import Request

from prebooking.web.problems import Problem, invalid

_log = structlog.get_logger()

_KEY_FETCH_S = 2.0
_KEYS_LIVE_S = 300.0
_REFETCH_AFTER_S = 30.0  # an unknown key id asks again no sooner
_ASK_AGAIN_S = 2.0  # but where the key host said nothing
_LEEWAY_S = 30
_LONGEST_EMAIL = 254


@asynccontextmanager
async def open_key_set(url: str) -> AsyncIterator["KeySet"]:
    async with httpx.AsyncClient(timeout=_KEY_FETCH_S, trust_env=False) as http:
        yield KeySet(http, url)


class KeySet:
    """Supabase's public keys, fetched when needed, kept while the key host is silent."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._heard = False  # whether the last fetch got an answer
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """Raises Problem where it can't be told whether the key is one of ours."""
        known = self._keys.get(key_id)
        if known is None or self._older_than(_KEYS_LIVE_S):
            async with self._lock:
                if self._older_than(_REFETCH_AFTER_S if known or self._heard else _ASK_AGAIN_S):
                    await self._fetch()
            known = self._keys.get(key_id)
        if known is None and not self._heard:
            raise Problem(503, "Who you are can't be checked right now: try again.", headers={"Retry-After": "2"})
        return known

    def _older_than(self, seconds: float) -> bool:
        return time.monotonic() - self._fetched > seconds

    async def _fetch(self) -> None:
        self._fetched, self._heard = time.monotonic(), False
        try:
            async with asyncio.timeout(_KEY_FETCH_S):  # httpx's own limit is for each read
                answer = await self._http.get(self._url)
            answer.raise_for_status()
            self._keys = _keys_of(answer.json())
            self._heard = True
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError, KeyError, jwt.PyJWTError) as exc:
            _log.warning("key_set_unavailable", url=self._url, reason=type(exc).__name__)


def _keys_of(key_set: Any) -> dict[str, jwt.PyJWK]:
    if not key_set["keys"]:  # a project that signs with HS256 alone publishes none
        return {}
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(key_set).keys if key.key_id}


@dataclass(frozen=True, slots=True)
class Users:
    """Tells the user's e-mail, lower-cased, or raises a Problem."""

    issuer: str
    keys: KeySet
    jwt_secret: str | None  #: set: tokens are HS256, and nothing else is taken
    service_key: str | None

    def is_server(self, request: Request) -> bool:
        """Whether it is a trusted server: anybody is where no key was set."""
        _, _, token = request.headers.get("authorization", "").partition(" ")
        return self.service_key is None or hmac.compare_digest(token.encode(), self.service_key.encode())

    async def email(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("Send the header Authorization: Bearer <access token>.")
        if self.service_key and hmac.compare_digest(token.encode(), self.service_key.encode()):
            return _named_in(request)
        return await self._from_token(token)

    async def _from_token(self, token: str) -> str:
        try:
            claims = await self._claims(token)
            email = claims["email"]
            if claims.get("role") != "authenticated" or not isinstance(email, str) or not _is_email(email):
                raise _unauthorized("The access token is not a signed-in user's.")
            return email.lower()
        except jwt.ExpiredSignatureError as exc:
            raise _unauthorized("The access token has expired: sign in again or refresh it.") from exc
        except (jwt.PyJWTError, KeyError) as exc:
            raise _unauthorized("The access token is not valid here.") from exc

    async def _claims(self, token: str) -> dict[str, Any]:
        if self.jwt_secret:
            return self._decoded(token, self.jwt_secret, ["HS256"])
        key_id = jwt.get_unverified_header(token).get("kid")
        key = await self.keys.key(key_id) if key_id else None
        if key is None:
            raise jwt.InvalidKeyError("unknown key id")
        return self._decoded(token, key, ["ES256", "RS256"])

    def _decoded(self, token: str, key: jwt.PyJWK | str, algorithms: list[str]) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience="authenticated",
            issuer=self.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )


def _named_in(request: Request) -> str:
    with suppress(UnicodeDecodeError):
        # A header is bytes: what clients write is UTF-8, what Starlette reads is Latin-1.
        email = request.headers.get("x-user-email", "").encode("latin-1").decode().strip()
        if _is_email(email):
            return email.lower()
    raise invalid("X-User-Email", "name the user by e-mail, such as ana@example.com")


def _is_email(text: str) -> bool:
    return "@" in text and len(text) <= _LONGEST_EMAIL and text.isprintable()


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
