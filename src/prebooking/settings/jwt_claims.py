"""The claims of a project's legacy API keys, which are JWTs: they say of which kind a key is."""

import base64
import json
from collections.abc import Mapping
from typing import Any


def claims_of(token: str) -> Mapping[str, Any]:
    """Returns the unverified claims of a JWT; empty if it is not one."""
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(decoded(payload))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def decoded(part: str) -> bytes:
    """Returns the bytes of a part of a JWT. Raises ValueError."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
