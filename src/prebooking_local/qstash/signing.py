"""The keys, and the token that proves a delivery to its receiver."""

import base64
import hashlib
import math
import secrets
from dataclasses import dataclass

import jwt

from prebooking_local.qstash.clock import Clock
from prebooking_local.qstash.faults import Faults, drawn

# Printed by the official development server: public constants, not secrets.
DEV_TOKEN = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0="
DEV_CURRENT_KEY = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"
DEV_NEXT_KEY = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"

_LIFETIME_S = 300


@dataclass
class KeyRing:
    current: str
    next: str

    def rotate(self) -> None:
        self.current, self.next = self.next, "sig_" + secrets.token_hex(14)


@dataclass(frozen=True)
class Signer:
    keys: KeyRing
    clock: Clock
    faults: Faults

    def sign(self, url: str, body: bytes) -> str:
        """Returns the token, made anew for each attempt: it lives for five minutes, a message for days."""
        if drawn(self.faults.rotate_keys):
            self.keys.rotate()
        skew = drawn(self.faults.iat_skew_s) or 0.0
        wrong_body = drawn(self.faults.signed_body)
        wrong_key = drawn(self.faults.signing_key)
        issued = math.floor(self.clock.time() + skew)
        signed = body if wrong_body is None else wrong_body.encode()
        claims = {
            "iss": "Upstash",
            "sub": drawn(self.faults.signed_url) or url,
            "iat": issued,
            "exp": issued + _LIFETIME_S,
            "nbf": 0,  # so that a receiver whose clock is behind isn't told "not yet valid" by this claim
            "jti": "jwt_" + secrets.token_hex(12),
            "body": base64.urlsafe_b64encode(hashlib.sha256(signed).digest()).decode(),
        }
        return jwt.encode(claims, wrong_key or self.keys.current, algorithm="HS256")
