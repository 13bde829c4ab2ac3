"""Access tokens shaped and signed as Supabase Auth's: ES256, checked by anybody with the published key."""

import json
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "authenticated"
LIFETIME_S = 3600


@dataclass(frozen=True)
class Member:
    email: str
    password: str = field(repr=False)

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"mailto:{self.email.lower()}")


class Tokens:
    def __init__(self) -> None:
        self.issuer = ""  # known once the port is
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._key_id = str(uuid4())

    def issue(self, member: Member, session_id: str, **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": str(member.id),
            "aud": AUDIENCE,
            "exp": now + LIFETIME_S,
            "iat": now,
            "email": member.email,
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {"email_verified": True},
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": now}],
            "session_id": session_id,
            "is_anonymous": False,
        }
        return jwt.encode({**claims, **changed}, self._key, "ES256", headers={"kid": self._key_id})

    def claims_of(self, token: str) -> dict[str, Any]:
        """Returns the claims. Raises jwt.InvalidTokenError unless we issued the token and it is valid."""
        public = self._key.public_key()
        claims: dict[str, Any] = jwt.decode(
            token, public, ["ES256"], audience=AUDIENCE, options={"require": ["exp", "sub", "role"]}
        )
        return claims

    def key_set(self) -> dict[str, Any]:
        public = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        use = {"alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": True, "kid": self._key_id}
        return {"keys": [public | use]}
