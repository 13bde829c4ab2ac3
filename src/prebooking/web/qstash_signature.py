"""Verifies the signature of QStash's deliveries: a JWT over the raw body and the URL of the service."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import jwt
import structlog

_log = structlog.get_logger()

_LEEWAY_S = 30  # tolerated difference of the clocks; QStash's SDK has no such option


class RejectionReason(StrEnum):
    """Why a delivery is rejected, in the order of the checks."""

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
    """`reason` is for metrics; the text has the details."""

    def __init__(self, reason: RejectionReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SignatureVerifier:
    """Verifies against PUBLIC_URL: behind a proxy the request has another URL."""

    public_url: str
    keys: tuple[tuple[str, str], ...]  #: pairs of the current and the next key; two during a move between regions

    def verify(self, signature: str, path: str) -> "VerifiedSignature":
        """Verifies everything but the body, which is read only afterwards. Raises InvalidSignatureError."""
        if not signature:
            raise InvalidSignatureError(RejectionReason.MISSING)
        claims, with_next = self._claims(signature)
        url = self.public_url + path
        if claims["sub"] != url:
            raise InvalidSignatureError(RejectionReason.URL, f"signed for {claims['sub']}, not for {url} (PUBLIC_URL)")
        return VerifiedSignature(claims["body"], with_next=with_next)

    def _claims(self, signature: str) -> tuple[dict[str, Any], bool]:
        """Returns the claims, and whether they are signed with a next key."""
        for current, following in self.keys:
            for key in (current, following):
                try:
                    return _read(signature, key), key == following
                except InvalidSignatureError as exc:
                    if exc.reason is not RejectionReason.KEY:
                        raise
        raise InvalidSignatureError(RejectionReason.KEY, "signed with none of the keys that are set here")


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that is valid for the URL, with the digest of the signed body."""

    digest: str
    with_next: bool  #: whether the next key signed it

    def verify_body(self, body: bytes) -> None:
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
        raise InvalidSignatureError(_reason(exc), str(exc)) from exc
    if not isinstance(claims["body"], str):
        raise InvalidSignatureError(RejectionReason.MALFORMED, "body must be a string")
    return claims


def _reason(exc: jwt.PyJWTError) -> RejectionReason:
    """Returns the first that matches: PyJWT's exceptions inherit from each other."""
    return next((reason for kind, reason in _REASONS if isinstance(exc, kind)), RejectionReason.MALFORMED)


_REASONS: tuple[tuple[type[jwt.PyJWTError], RejectionReason], ...] = (
    (jwt.InvalidSignatureError, RejectionReason.KEY),
    (jwt.InvalidAlgorithmError, RejectionReason.ALGORITHM),
    (jwt.ExpiredSignatureError, RejectionReason.EXPIRED),
    (jwt.ImmatureSignatureError, RejectionReason.NOT_YET_VALID),
    (jwt.InvalidIssuerError, RejectionReason.ISSUER),
    (jwt.MissingRequiredClaimError, RejectionReason.CLAIM),
)
