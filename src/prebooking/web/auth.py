"""Authentication: a signed-in user by Supabase's access token, or a trusted server by the service key."""

import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any, Protocol

import jwt
from starlette.requests import Request

from prebooking.domain.errors import EmailStaleError, EmailTakenError, KeysUnavailableError
from prebooking.web.extensions import authenticated
from prebooking.web.problems import Problem, email_taken, identity_unknown, invalid
from prebooking.web.token_checks import RefusedTokens, TokenCheck, TokenRefusedError, shown

#: The accepted signature algorithms. The key decides which one is used, never the token.
ALGORITHMS = ("ES256", "RS256")

_LEEWAY_S = 30
_LONGEST_EMAIL = 254
_LONGEST_SUB = 255
_SYMMETRIC = "HS256"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated user by lower-case e-mail address. `until`: the token's expiry in epoch seconds, if any.

    `sub`: the token's account; None: a trusted server speaks for the user.
    """

    email: str
    until: float | None = None
    sub: str | None = None


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """The account of an access token."""

    sub: str
    email: str
    until: float  #: epoch seconds
    issued_at: datetime | None


class SigningKeys(Protocol):
    """Supabase's published keys, of ALGORITHMS alone."""

    async def key(self, key_id: str, /) -> jwt.PyJWK | None:
        """Returns the key; None: there is no such key. Raises KeysUnavailableError."""
        ...


class EmailOwners(Protocol):
    async def email_of(self, sub: str, email: str, issued_at: datetime | None, /) -> str:
        """Returns the e-mail address that the account may use. Raises EmailTakenError, EmailStaleError."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """Verifies access tokens. Each algorithm has its own keys: HS256 only the project's secret, ES256 and RS256 only
    its published keys.
    """

    issuer: str
    keys: SigningKeys
    jwt_secret: str | None

    async def read(self, token: str) -> TokenAccount:
        """Returns the account of a valid token. Raises TokenRefusedError, KeysUnavailableError."""
        claims = await self._claims(token)
        # `user_metadata` is ignored: the user can write it.
        if claims.get("role") != "authenticated" or claims.get("is_anonymous", False) is not False:
            found = f"role is {shown(claims.get('role'))}, is_anonymous {shown(claims.get('is_anonymous', False))}"
            raise TokenRefusedError(TokenCheck.ROLE, f"{found}: only signed-in users are accepted")
        email = claims.get("email")
        if not isinstance(email, str) or not _is_email(email) or claims.get("email_verified", True) is not True:
            raise TokenRefusedError(TokenCheck.EMAIL, "it has no confirmed, valid e-mail address")
        sub = claims["sub"]
        if not isinstance(sub, str) or not 0 < len(sub) <= _LONGEST_SUB or not sub.isprintable():
            raise TokenRefusedError(TokenCheck.CLAIMS, "sub is not an account id")
        return TokenAccount(sub, email.lower(), float(claims["exp"]), _instant(claims.get("iat")))

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            key, algorithms = await self._key(jwt.get_unverified_header(token))
            return self._decoded(token, key, algorithms)
        except jwt.ExpiredSignatureError as exc:
            raise TokenRefusedError(TokenCheck.EXPIRED, "it has expired") from exc
        except jwt.InvalidIssuerError as exc:
            reason = f"iss is {shown(_claim(token, 'iss'))}, and {self.issuer} is expected: set SUPABASE_JWT_ISSUER"
            raise TokenRefusedError(TokenCheck.ISSUER, reason) from exc
        except jwt.InvalidAudienceError as exc:
            reason = f"aud is {shown(_claim(token, 'aud'))}, and authenticated is expected"
            raise TokenRefusedError(TokenCheck.AUDIENCE, reason) from exc
        except jwt.PyJWTError as exc:
            raise TokenRefusedError(_check_of(exc), shown(exc)) from exc
        except KeyError as exc:
            raise TokenRefusedError(TokenCheck.CLAIMS, f"it has no {shown(exc)}") from exc

    async def _key(self, header: dict[str, Any]) -> tuple[jwt.PyJWK | str, list[str]]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm == _SYMMETRIC:
            if self.jwt_secret is None:
                reason = "it is signed with HS256, and SUPABASE_JWT_SECRET is not set"
                raise TokenRefusedError(TokenCheck.NO_SECRET, reason)
            return self.jwt_secret, [_SYMMETRIC]
        if algorithm not in ALGORITHMS:
            reason = f"it is signed with {shown(algorithm)}, which is none of {', '.join([_SYMMETRIC, *ALGORITHMS])}"
            raise TokenRefusedError(TokenCheck.ALGORITHM, reason)
        key = await self.keys.key(key_id) if isinstance(key_id, str) and key_id else None
        if key is None:
            reason = f"the project at SUPABASE_URL publishes no key with the id {shown(key_id)}"
            raise TokenRefusedError(TokenCheck.KEY, reason)
        return key, [*ALGORITHMS]

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
    """Authenticates requests. Every method raises Problem.

    `owners`: decides which account an e-mail address belongs to; None: every valid token is accepted for its address.
    """

    def __init__(
        self,
        *,
        issuer: str,
        keys: SigningKeys,
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
            return Caller(_email_header(request))
        try:
            account = await self.tokens.read(token)
            return Caller(await self._email_of(account), account.until, account.sub)
        except TokenRefusedError as exc:
            self._refused.note(exc)
            raise _unauthorized(
                _DETAILS.get(exc.check, "The access token is not valid for this service: sign in again.")
            ) from exc
        except KeysUnavailableError as exc:
            raise identity_unknown(max(1, ceil(exc.retry_after))) from exc

    async def _email_of(self, account: TokenAccount) -> str:
        if self._owners is None:
            return account.email
        try:
            return await self._owners.email_of(account.sub, account.email, account.issued_at)
        except EmailTakenError as exc:
            raise email_taken(account.email) from exc
        except EmailStaleError as exc:
            raise TokenRefusedError(TokenCheck.OWNER, "its e-mail was released after it was issued") from exc


# What the client is told; the other checks are only in the log.
_DETAILS = {
    TokenCheck.EXPIRED: "The access token has expired: sign in again or refresh it.",
    TokenCheck.ROLE: "The access token is not that of a signed-in user: sign in.",
    TokenCheck.EMAIL: "The access token has no confirmed e-mail address: confirm it, then sign in again.",
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


def _claim(token: str, claim: str) -> Any:
    """Returns a claim of a token whose signature is verified."""
    return jwt.decode(token, options={"verify_signature": False}).get(claim)


def _instant(issued_at: Any) -> datetime | None:
    with suppress(TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(float(issued_at), UTC)
    return None


def _email_header(request: Request) -> str:
    with suppress(UnicodeDecodeError):
        # Clients send UTF-8; Starlette decodes headers as Latin-1.
        email = request.headers.get("x-user-email", "").encode("latin-1").decode().strip()
        if _is_email(email):
            return email.lower()
    raise invalid("X-User-Email", "must be the user's e-mail address, such as ana@example.com")


def _is_email(text: str) -> bool:
    # The Kelvin sign lower-cases to an ASCII k, which would be another user.
    lowers_to_ascii = any(c.lower().isascii() and not c.isascii() for c in text)
    return len(text) <= _LONGEST_EMAIL and text.isprintable() and not lowers_to_ascii and bool(_EMAIL.fullmatch(text))


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
