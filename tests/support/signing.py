"""Deliveries as QStash signs them, and as somebody else would."""

import base64
import hashlib
import json
import time
from typing import Any

import httpx
import jwt
from tests.support.world import World

from prebooking_local.qstash.signing import DEV_CURRENT_KEY

EXECUTE = "/qstash/prebooking-execute"
FAILED = "/qstash/prebooking-failed"
SWEEP = "/qstash/sweep"


def body_of(prebooking_id: str, version: int = 1) -> bytes:
    return json.dumps({"prebooking_id": prebooking_id, "version": version}).encode()


def callback_of(prebooking_id: str, version: int = 1, **more: Any) -> bytes:
    """What QStash tells when it has given up on a message."""
    source = base64.b64encode(body_of(prebooking_id, version)).decode()
    said = base64.b64encode(b"bad gateway").decode()
    return json.dumps({"status": 502, "body": said, "sourceBody": source} | more).encode()


def signature(
    url: str, content: bytes, /, *, key: str = DEV_CURRENT_KEY, algorithm: str = "HS256", **changed: Any
) -> str:
    """`changed` claims replace QStash's own; None leaves one out."""
    now = int(time.time())
    claims = {
        "iss": "Upstash",
        "sub": url,
        "iat": now,
        "exp": now + 300,
        "nbf": now,
        "jti": "jwt_1",
        "body": base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode(),
    }
    kept = {name: value for name, value in (claims | changed).items() if value is not None}
    # Not jwt.encode, which is particular about the claims.
    return jwt.PyJWS().encode(json.dumps(kept).encode(), "" if algorithm == "none" else key, algorithm=algorithm)


async def deliver(world: World, path: str, content: bytes, /, **signing: Any) -> httpx.Response:
    token = signature(world.url + path, content, **signing)
    return await world.http.post(path, content=content, headers={"Upstash-Signature": token})
