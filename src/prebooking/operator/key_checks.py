"""Checks by their form that the keys are of the right kind and of the right project."""

import hashlib
import hmac
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from prebooking.domain.plain_text import printable
from prebooking.operator.findings import Finding, bad, note
from prebooking.settings import Settings
from prebooking.settings.jwt_claims import claims_of, decoded

_SUBJECT = "Database"
_COPY = "set SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…), not the publishable one"


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Yields problems only."""
    key = settings.supabase_secret_key.get_secret_value()
    if key.startswith("sb_publishable_"):
        yield bad(_SUBJECT, "key", "is called with the publishable key, which has no permissions", _COPY)
    elif key.startswith("eyJ"):
        yield from _legacy(key, settings)
    elif key.startswith(("sbp_", "sb_temp_")):
        yield bad(
            _SUBJECT,
            "key",
            "is called with an access token of the Supabase account, which is not a project's key",
            _COPY,
        )
    if settings.supabase_jwt_secret is not None:
        yield from _jwt_secret(settings, settings.supabase_jwt_secret.get_secret_value())


def _legacy(key: str, settings: Settings) -> Iterator[Finding]:
    claims = claims_of(key)
    role, project = claims.get("role"), claims.get("ref")
    host = urlsplit(settings.supabase_url).hostname or ""
    expires = claims.get("exp")
    if not claims:
        yield bad(_SUBJECT, "key", "is called with an incomplete legacy key", _COPY)
    elif role != "service_role":
        named = printable(str(role))[:40]
        yield bad(
            _SUBJECT, "key", f"is called with the legacy key of the role {named}, which has no permissions", _COPY
        )
    elif isinstance(expires, int | float) and expires < time.time():
        yield bad(_SUBJECT, "key", "is called with an expired legacy key", _COPY)
    elif isinstance(project, str) and host.endswith(".supabase.co") and host != f"{project}.supabase.co":
        message = f"is called at {host} with the key of the project {printable(project)[:40]}"
        yield bad(_SUBJECT, "key", message, "set SUPABASE_URL and SUPABASE_SECRET_KEY of the same project")
    else:
        yield note(
            _SUBJECT,
            "legacy-key",
            "is called with a legacy service_role key, which Supabase retires by the end of 2026",
            "create a secret key (sb_secret_…) in the project's settings, API keys, and set SUPABASE_SECRET_KEY to it",
        )


def _jwt_secret(settings: Settings, secret: str) -> Iterator[Finding]:
    """Verifies the project's legacy keys with the secret: they are signed with it."""
    keys = (settings.supabase_secret_key.get_secret_value(), settings.supabase_publishable_key or "")
    legacy = [key for key in keys if key.startswith("eyJ") and claims_of(key)]
    if any(key == secret for key in keys) or secret.startswith(("sb_", "eyJ")):
        message = "SUPABASE_JWT_SECRET is an API key, so no user's token is accepted"
        yield bad(
            "Users", "jwt-secret", message, "set it to the legacy JWT secret, or unset it if all tokens are ES256"
        )
    elif legacy and not any(_signed_with(secret, key) for key in legacy):
        message = "SUPABASE_JWT_SECRET is another project's: this project's own legacy keys are not signed with it"
        yield bad("Users", "jwt-secret", message, "set it to the legacy JWT secret of the project at SUPABASE_URL")


def _signed_with(secret: str, token: str) -> bool:
    signed, _, signature = token.rpartition(".")
    try:
        given = decoded(signature)
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest(), given)
