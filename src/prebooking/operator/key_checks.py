"""Are the keys that are set the ones that belong there, as far as their form tells?"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from prebooking.domain.plain_text import printable
from prebooking.operator.findings import Finding, bad, note
from prebooking.settings import Settings

_SUBJECT = "Database"
_COPY = "set SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…), not the publishable one"


def look_at_keys(settings: Settings) -> Iterator[Finding]:
    """Nothing where nothing is wrong."""
    key = settings.supabase_secret_key.get_secret_value()
    if key.startswith("sb_publishable_"):
        yield bad(_SUBJECT, "key", "is asked with the publishable key, which may do nothing", _COPY)
    elif key.startswith("eyJ"):
        yield from _legacy(key, settings)
    elif key.startswith(("sbp_", "sb_temp_")):
        yield bad(_SUBJECT, "key", "is asked with an access token of the Supabase account, not with a key", _COPY)
    if settings.supabase_jwt_secret is not None:
        yield from _jwt_secret(settings, settings.supabase_jwt_secret.get_secret_value())


def _legacy(key: str, settings: Settings) -> Iterator[Finding]:
    claims = claims_of(key)
    role, project = claims.get("role"), claims.get("ref")
    host = urlsplit(settings.supabase_url).hostname or ""
    expires = claims.get("exp")
    if not claims:
        yield bad(_SUBJECT, "key", "is asked with a legacy key that can't be read: part of it is missing", _COPY)
    elif role != "service_role":
        named = printable(str(role))[:40]
        yield bad(_SUBJECT, "key", f"is asked with the legacy key of the role {named}, which may do nothing", _COPY)
    elif isinstance(expires, int | float) and expires < time.time():
        yield bad(_SUBJECT, "key", "is asked with a legacy key that has expired", _COPY)
    elif isinstance(project, str) and host.endswith(".supabase.co") and host != f"{project}.supabase.co":
        told = f"is asked at {host} with the key of the project {printable(project)[:40]}"
        yield bad(_SUBJECT, "key", told, "set SUPABASE_URL and SUPABASE_SECRET_KEY of one project")
    else:
        yield note(
            _SUBJECT,
            "legacy-key",
            "is asked with a legacy service_role key, which Supabase retires by the end of 2026",
            "make a secret key (sb_secret_…) in the project's settings, API keys, and set SUPABASE_SECRET_KEY to it",
        )


def _jwt_secret(settings: Settings, secret: str) -> Iterator[Finding]:
    """Legacy keys are signed with it, so they tell whether it is the project's."""
    keys = (settings.supabase_secret_key.get_secret_value(), settings.supabase_publishable_key or "")
    legacy = [key for key in keys if key.startswith("eyJ") and claims_of(key)]
    if any(key == secret for key in keys) or secret.startswith(("sb_", "eyJ")):
        told = "SUPABASE_JWT_SECRET is an API key, so that no user's token would be believed"
        yield bad("Users", "jwt-secret", told, "copy the legacy JWT secret, or unset it where tokens are ES256 alone")
    elif legacy and not any(_signed_with(secret, key) for key in legacy):
        told = "SUPABASE_JWT_SECRET is another project's: this project's own legacy keys are not signed with it"
        yield bad("Users", "jwt-secret", told, "copy the legacy JWT secret of the project at SUPABASE_URL")


def claims_of(token: str) -> Mapping[str, Any]:
    """What a JSON web token says, whoever signed it; nothing where it is none."""
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(_decoded(payload))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _signed_with(secret: str, token: str) -> bool:
    signed, _, signature = token.rpartition(".")
    try:
        given = _decoded(signature)
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest(), given)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
