"""Who is asking: a signed-in user by Supabase's access token, or a trusted server by the service key."""

import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import jwt
from starlette.requests import Request

from prebooking.domain.errors import EmailStaleError, EmailTakenError
from prebooking.web.extensions import authenticated
from prebooking.web.key_set import ALGORITHMS, KeySet
from prebooking.web.problems import Problem, email_taken, invalid
from prebooking.web.token_checks import RefusedTokens, TokenCheck, TokenRefusedError, shown

_LEEWAY_S = 30
_LONGEST_EMAIL = 254
_LONGEST_SUB = 255
_SHARED = "HS256"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by e-mail, lower-cased, and until when that is known (epoch seconds; None: no token says)."""

    email: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Who signed in, as a token says."""

    sub: str
    email: str
    until: float  #: epoch seconds
    issued_at: datetime | None


class EmailOwners(Protocol):
    async def email_of(self, sub: str, email: str, issued_at: datetime | None, /) -> str:
        """For which e-mail the account speaks. Raises EmailTakenError, EmailStaleError."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """Reads access tokens. Each algorithm has keys of its own kind, whatever else is configured: HS256 the project's
    secret alone, ES256 and RS256 its published keys alone.
    """

    issuer: str
    keys: KeySet
    jwt_secret: str | None

    async def read(self, token: str) -> Account:
        """Raises TokenRefusedError, and Problem where it can't be told whether a key is one of ours."""
        claims = await self._claims(token)
        # `user_metadata` counts for nothing: the user writes it.
        if claims.get("role") != "authenticated" or claims.get("is_anonymous", False) is not False:
            told = f"role is {shown(claims.get('role'))}, is_anonymous {shown(claims.get('is_anonymous', False))}"
            raise TokenRefusedError(TokenCheck.ROLE, f"{told}: signed-in users alone are let in")
        email = claims.get("email")
        if not isinstance(email, str) or not _is_email(email) or claims.get("email_verified", True) is not True:
            raise TokenRefusedError(TokenCheck.EMAIL, "it names no confirmed e-mail that could be a user's")
        sub = claims["sub"]
        if not isinstance(sub, str) or not 0 < len(sub) <= _LONGEST_SUB or not sub.isprintable():
            raise TokenRefusedError(TokenCheck.CLAIMS, "sub is no account's id")
        return Account(sub, email.lower(), float(claims["exp"]), _instant(claims.get("iat")))

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            key, algorithms = await self._key(jwt.get_unverified_header(token))
            return self._decoded(token, key, algorithms)
        except jwt.ExpiredSignatureError as exc:
            raise TokenRefusedError(TokenCheck.EXPIRED, "it has expired") from exc
        except jwt.InvalidIssuerError as exc:
            told = f"iss is {shown(_said(token, 'iss'))}, and {self.issuer} is expected: set SUPABASE_JWT_ISSUER"
            raise TokenRefusedError(TokenCheck.ISSUER, told) from exc
        except jwt.InvalidAudienceError as exc:
            told = f"aud is {shown(_said(token, 'aud'))}, and authenticated is expected"
            raise TokenRefusedError(TokenCheck.AUDIENCE, told) from exc
        except jwt.PyJWTError as exc:
            raise TokenRefusedError(_check_of(exc), shown(exc)) from exc
        except KeyError as exc:
            raise TokenRefusedError(TokenCheck.CLAIMS, f"it has no {shown(exc)}") from exc

    async def _key(self, header: dict[str, Any]) -> tuple[jwt.PyJWK | str, list[str]]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm == _SHARED:
            if self.jwt_secret is None:
                told = "it is signed with HS256, and SUPABASE_JWT_SECRET is not set"
                raise TokenRefusedError(TokenCheck.NO_SECRET, told)
            return self.jwt_secret, [_SHARED]
        if algorithm not in ALGORITHMS:
            told = f"it is signed with {shown(algorithm)}, which is none of {', '.join([_SHARED, *ALGORITHMS])}"
            raise TokenRefusedError(TokenCheck.ALGORITHM, told)
        key = await self.keys.key(key_id) if isinstance(key_id, str) and key_id else None
        if key is None:
            told = f"the project at SUPABASE_URL publishes no key with the id {shown(key_id)}"
            raise TokenRefusedError(TokenCheck.KEY, told)
        return key, ALGORITHMS

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


class Users:
    """Tells who is asking, or raises a Problem.

    `owners`: whose an e-mail is; None: whoever has a token with it, for a tool that only reads tokens.
    """

    def __init__(
        self,
        *,
        issuer: str,
        keys: KeySet,
        jwt_secret: str | None,
        service_key: str | None,
        owners: EmailOwners | None = None,
        refused: RefusedTokens | None = None,
    ) -> None:
        self.keys = keys
        self.tokens = Tokens(issuer, keys, jwt_secret)
        self._service_key = service_key
        self._owners = owners
        self._refused = refused or RefusedTokens()

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
        if self._service_key and hmac.compare_digest(token.encode(), self._service_key.encode()):
            return Caller(_named_in(request))
        try:
            account = await self.tokens.read(token)
            return Caller(await self._email_of(account), account.until)
        except TokenRefusedError as exc:
            self._refused.note(exc)
            raise _unauthorized(_TOLD.get(exc.check, "The access token is not valid here.")) from exc

    async def _email_of(self, account: Account) -> str:
        if self._owners is None:
            return account.email
        try:
            return await self._owners.email_of(account.sub, account.email, account.issued_at)
        except EmailTakenError as exc:
            raise email_taken(account.email) from exc
        except EmailStaleError as exc:
            raise TokenRefusedError(TokenCheck.OWNER, "its e-mail was released after it was issued") from exc


_TOLD = {
    TokenCheck.EXPIRED: "The access token has expired: sign in again or refresh it.",
    TokenCheck.ROLE: "The access token is not a signed-in user's.",
    TokenCheck.EMAIL: "The access token names no e-mail that could be a user's.",
    TokenCheck.OWNER: "The access token is from before its e-mail address was released: sign in again or refresh it.",
}


def _check_of(exc: jwt.PyJWTError) -> TokenCheck:
    kinds = (
        (jwt.InvalidSignatureError, TokenCheck.SIGNATURE),
        (jwt.ImmatureSignatureError, TokenCheck.NOT_YET),
        (jwt.InvalidAlgorithmError, TokenCheck.ALGORITHM),
        (jwt.InvalidKeyError, TokenCheck.KEY),
        (jwt.DecodeError, TokenCheck.MALFORMED),
    )
    return next((check for kind, check in kinds if isinstance(exc, kind)), TokenCheck.CLAIMS)


def _said(token: str, claim: str) -> Any:
    """Of a token whose signature was right."""
    return jwt.decode(token, options={"verify_signature": False}).get(claim)


def _instant(issued_at: Any) -> datetime | None:
    with suppress(TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(float(issued_at), UTC)
    return None


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
