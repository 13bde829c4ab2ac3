"""Is this delivery QStash's? The signature is a JWT over the raw body and the URL that we published."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import jwt
import structlog

_log = structlog.get_logger()

_LEEWAY_S = 30  # QStash's clock and ours; its SDK takes no tolerance, so this is checked here


class RejectionReason(StrEnum):
    """What a delivery can fail, in the order in which it is looked at."""

    MISSING = "no signature"
    MALFORMED = "malformed"
    ALGORITHM = "wrong algorithm"
    KEY = "wrong key"
    CLAIM = "claim missing"
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"
    ISSUER = "wrong issuer"
    URL = "wrong URL"
    BODY = "wrong body"


class InvalidSignatureError(Exception):
    """`check` is the one that failed, the text says more."""

    def __init__(self, check: RejectionReason, detail: str = "") -> None:
        super().__init__(f"{check}: {detail}" if detail else str(check))
        self.check = check


@dataclass(frozen=True, slots=True)
class SignatureVerifier:
    """Verifies against the configured URL: behind a proxy the request's own is another."""

    public_url: str
    keys: tuple[tuple[str, str], ...]  #: current and next: one pair, or that of another region beside it

    def verify(self, signature: str, path: str) -> "Signed":
        """Verifies all but the body, which is not worth reading otherwise. Raises InvalidSignatureError."""
        if not signature:
            raise InvalidSignatureError(RejectionReason.MISSING)
        claims, with_next = self._claims(signature)
        url = self.public_url + path
        if claims["sub"] != url:
            raise InvalidSignatureError(RejectionReason.URL, f"signed for {claims['sub']}, not for {url} (PUBLIC_URL)")
        return Signed(claims["body"], with_next=with_next)

    def _claims(self, signature: str) -> tuple[dict[str, Any], bool]:
        """The claims, and whether a next key is the one that fits."""
        for current, following in self.keys:
            for key in (current, following):
                try:
                    return _read(signature, key), key == following
                except InvalidSignatureError as exc:
                    if exc.check is not RejectionReason.KEY:
                        raise
        raise InvalidSignatureError(RejectionReason.KEY, "signed with none of the keys that are set here")


@dataclass(frozen=True, slots=True)
class Signed:
    """What QStash has signed for this URL; of the body its digest."""

    digest: str
    with_next: bool  #: by the key that comes next

    def verify(self, body: bytes) -> None:
        """Raises InvalidSignatureError."""
        digest = urlsafe_b64encode(sha256(body).digest()).rstrip(b"=")
        if not hmac.compare_digest(self.digest.rstrip("=").encode(errors="replace"), digest):
            raise InvalidSignatureError(RejectionReason.BODY)
        if self.with_next:
            _log.warning("next_signing_key_used", advice="QStash has rolled its keys: update both in the environment")


def _read(signature: str, key: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            signature,
            key,
            algorithms=["HS256"],
            issuer="Upstash",
            leeway=_LEEWAY_S,
            options={"require": ["iss", "sub", "exp", "nbf", "body"], "verify_aud": False},
        )
    except jwt.PyJWTError as exc:
        raise InvalidSignatureError(_check(exc), str(exc)) from exc
    if not isinstance(claims["body"], str):
        raise InvalidSignatureError(RejectionReason.MALFORMED, "body must be a string")
    return claims


def _check(exc: jwt.PyJWTError) -> RejectionReason:
    """The first that fits: PyJWT's own classes descend from each other."""
    return next((check for kind, check in _CHECKS if isinstance(exc, kind)), RejectionReason.MALFORMED)


_CHECKS: tuple[tuple[type[jwt.PyJWTError], RejectionReason], ...] = (
    (jwt.InvalidSignatureError, RejectionReason.KEY),
    (jwt.InvalidAlgorithmError, RejectionReason.ALGORITHM),
    (jwt.ExpiredSignatureError, RejectionReason.EXPIRED),
    (jwt.ImmatureSignatureError, RejectionReason.NOT_YET_VALID),
    (jwt.InvalidIssuerError, RejectionReason.ISSUER),
    (jwt.MissingRequiredClaimError, RejectionReason.CLAIM),
)
