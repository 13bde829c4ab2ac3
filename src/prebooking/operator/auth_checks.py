"""Checks that users' access tokens are accepted, and that their e-mail addresses are confirmed."""

import asyncio
from collections.abc import Iterator

from prebooking.adapters.host_probe import HostResponse, Silence, probe
from prebooking.domain.plain_text import printable
from prebooking.operator.check_context import CheckContext
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.settings import Settings

_SUBJECT = "Users"
_ALGORITHMS = ("ES256", "RS256")
_OK = 200


async def check_users(context: CheckContext) -> list[Finding]:
    if context.inspection is None:
        return []  # already reported: the same host does not respond, or refuses the key
    settings = context.settings
    key = settings.supabase_publishable_key or settings.supabase_secret_key.get_secret_value()
    base, headers = settings.auth_url, {"apikey": key}
    keys, named, public = await asyncio.gather(
        probe(f"{base}/.well-known/jwks.json", headers=headers),
        probe(f"{base}/.well-known/openid-configuration", headers=headers),
        probe(f"{base}/settings", headers=headers),
    )
    return [*_keys(keys, settings), *_issuer(named, settings), *_sign_up(public)]


def _keys(response: HostResponse | Silence, settings: Settings) -> Iterator[Finding]:
    where = f"{settings.supabase_url}/auth/v1/.well-known/jwks.json"
    listed = response.fields.get("keys") if isinstance(response, HostResponse) and response.status == _OK else None
    if not isinstance(listed, list):
        if settings.supabase_jwt_secret is not None:
            yield note(
                _SUBJECT, "token-keys", f"no signing keys at {where} ({response.summary}); HS256 tokens are accepted"
            )
            return
        yield bad(
            _SUBJECT,
            "token-keys",
            f"no signing keys at {where} ({response.summary}): no user's token is accepted",
            "check that SUPABASE_URL is Supabase's gateway, with Auth at /auth/v1",
        )
        return
    algorithms = [one["alg"] for one in listed if isinstance(one, dict) and one.get("alg") in _ALGORITHMS]
    if algorithms:
        yield good(_SUBJECT, "token-keys", f"tokens are signed with {', '.join(sorted(set(algorithms)))}")
    elif settings.supabase_jwt_secret is not None:
        yield good(_SUBJECT, "token-keys", "tokens are signed with HS256, by SUPABASE_JWT_SECRET")
    else:
        yield bad(
            _SUBJECT,
            "token-keys",
            "the project publishes no signing key, so its tokens are HS256: none is accepted",
            "set SUPABASE_JWT_SECRET to the legacy JWT secret, or move the project to asymmetric signing keys",
        )


def _issuer(response: HostResponse | Silence, settings: Settings) -> Iterator[Finding]:
    expected = settings.issuer
    issuer = response.fields.get("issuer") if isinstance(response, HostResponse) and response.status == _OK else None
    if not isinstance(issuer, str):
        yield note(
            _SUBJECT,
            "issuer",
            f"Supabase Auth does not publish its issuer; tokens with `iss` {expected} are accepted",
            "if users get 401, set SUPABASE_JWT_ISSUER to the `iss` of an access token",
        )
    elif issuer != expected:
        named = printable(issuer)[:200]
        yield bad(
            _SUBJECT,
            "issuer",
            f"tokens have `iss` {named}, but {expected} is expected: every user gets 401",
            f"set SUPABASE_JWT_ISSUER={named}",
        )
    else:
        yield good(_SUBJECT, "issuer", f"tokens have the expected `iss`, {expected}")


def _sign_up(response: HostResponse | Silence) -> Iterator[Finding]:
    fields = response.fields if isinstance(response, HostResponse) and response.status == _OK else {}
    confirms_itself, closed = fields.get("mailer_autoconfirm"), fields.get("disable_signup")
    external = fields.get("external")
    if not isinstance(confirms_itself, bool):
        yield note(
            _SUBJECT,
            "confirm-email",
            f"Supabase Auth does not say whether e-mails are confirmed ({response.summary[:60]})",
            'check that "Confirm email" is on in Authentication, Sign In / Providers, Email',
        )
    elif confirms_itself and not closed:
        yield bad(
            _SUBJECT,
            "confirm-email",
            "e-mail addresses are not confirmed: anybody can sign up with another person's address",
            'turn on "Confirm email" in Authentication, Sign In / Providers, Email (self-hosted: '
            "GOTRUE_MAILER_AUTOCONFIRM=false; supabase start: enable_confirmations = true)",
        )
    else:
        yield good(
            _SUBJECT,
            "confirm-email",
            "e-mail addresses are confirmed" if not confirms_itself else "sign-ups are disabled",
        )
    if isinstance(external, dict) and external.get("anonymous_users") is True and not closed:
        yield note(
            _SUBJECT,
            "anonymous",
            "anonymous sign-ins are on: such users have no e-mail address, and get 401",
            "turn them off in Authentication, Sign In / Providers, unless another application needs them",
        )
