"""Who is asking: a signed-in user by Supabase's access token, or a trusted server by the service key."""

import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jwt
from starlette.requests import Request

from prebooking.web.extensions import authenticated
from prebooking.web.key_set import ALGORITHMS, KeySet
from prebooking.web.problems import Problem, invalid

_LEEWAY_S = 30
_LONGEST_EMAIL = 254
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by e-mail, lower-cased, and until when that is known (epoch seconds; None: no token says)."""

    email: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """Tells who is asking, or raises a Problem."""

    issuer: str
    keys: KeySet
    jwt_secret: str | None  #: set: tokens are HS256, and nothing else is taken
    service_key: str | None

    async def email(self, request: Request) -> str:
        return (await self.caller(request)).email

    async def caller(self, request: Request) -> Caller:
        caller = await self._caller(request)
        authenticated(request.scope)
        return caller

    async def _caller(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("Send the header Authorization: Bearer <access token>.")
        if self.service_key and hmac.compare_digest(token.encode(), self.service_key.encode()):
            return Caller(_named_in(request))
        return await self._from_token(token)

    async def _from_token(self, token: str) -> Caller:
        try:
            claims = await self._claims(token)
            # `user_metadata` counts for nothing: the user writes it.
            if claims.get("role") != "authenticated" or claims.get("is_anonymous", False) is not False:
                raise _unauthorized("The access token is not a signed-in user's.")
            email = claims["email"]
            if not isinstance(email, str) or not _is_email(email) or claims.get("email_verified", True) is not True:
                raise _unauthorized("The access token names no e-mail that could be a user's.")
            return Caller(email.lower(), float(claims["exp"]))
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
        return self._decoded(token, key, ALGORITHMS)

    def _decoded(self, token: str, key: jwt.PyJWK | str, algorithms: list[str]) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience="authenticated",
            issuer=self.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )


def _named_in(request: Request) -> str:
    with suppress(UnicodeDecodeError):
        # A header is bytes: what clients write is UTF-8, what Starlette reads is Latin-1.
        email = request.headers.get("x-user-email", "").encode("latin-1").decode().strip()
        if _is_email(email):
            return email.lower()
    raise invalid("X-User-Email", "name the user by e-mail, such as ana@example.com")


def _is_email(text: str) -> bool:
    # Lower-cased, the Kelvin sign is a k, and its user would be somebody else.
    lowers_to_ascii = any(c.lower().isascii() and not c.isascii() for c in text)
    return len(text) <= _LONGEST_EMAIL and text.isprintable() and not lowers_to_ascii and bool(_EMAIL.fullmatch(text))


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
