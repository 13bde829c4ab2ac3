"""Is this delivery QStash's? The signature is a JWT over the raw body and the URL that we published."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

import jwt
import structlog

_log = structlog.get_logger()

_LEEWAY_S = 30  # QStash's clock and ours; its SDK takes no tolerance, so this is checked here


class NotFromQStashError(Exception):
    """The text names the check that failed, `kind` in one word."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _AnothersUrlError(jwt.InvalidTokenError):
    pass


class _AnotherBodyError(jwt.InvalidTokenError):
    pass


_KINDS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "expired",
    jwt.ImmatureSignatureError: "early",
    jwt.InvalidSignatureError: "key",
    _AnothersUrlError: "url",
    _AnotherBodyError: "body",
}


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Verifies against the configured URL: behind a proxy the request's own is another."""

    public_url: str
    current_key: str
    next_key: str

    def verify(self, signature: str, body: bytes, path: str) -> None:
        """Raises NotFromQStashError."""
        if not signature:
            raise NotFromQStashError("no signature", "missing")
        try:
            self._verify(signature, body, path, self.current_key)
        except jwt.InvalidSignatureError:
            try:
                self._verify(signature, body, path, self.next_key)
            except jwt.PyJWTError as exc:
                raise NotFromQStashError(f"neither key fits, or with the next one: {_reason(exc)}", _kind(exc)) from exc
            _log.warning("next_signing_key_used", advice="QStash has rolled its keys: update both in the environment")
        except jwt.PyJWTError as exc:
            raise NotFromQStashError(_reason(exc), _kind(exc)) from exc

    def _verify(self, signature: str, body: bytes, path: str, key: str) -> None:
        claims = jwt.decode(
            signature,
            key,
            algorithms=["HS256"],
            issuer="Upstash",
            leeway=_LEEWAY_S,
            options={"require": ["iss", "sub", "exp", "nbf", "body"], "verify_aud": False},
        )
        if claims["sub"] != self.public_url + path:
            raise _AnothersUrlError(f"signed for {claims['sub']}, not for {self.public_url + path}")
        digest = urlsafe_b64encode(sha256(body).digest()).rstrip(b"=")
        if not hmac.compare_digest(str(claims["body"]).rstrip("=").encode(), digest):
            raise _AnotherBodyError("the body is not the one that was signed")


def _reason(exc: jwt.PyJWTError) -> str:
    return f"{type(exc).__name__.removeprefix('_')}: {exc}"


def _kind(exc: jwt.PyJWTError) -> str:
    return _KINDS.get(type(exc), "malformed")
