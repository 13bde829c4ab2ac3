"""Would a user's token be believed, and may whoever has it be taken for the owner of the e-mail in it?"""

import asyncio
from collections.abc import Iterator

from prebooking.adapters.host_probe import HostResponse, Silence, hear
from prebooking.domain.plain_text import printable
from prebooking.operator.case import Case
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.settings import Settings

_SUBJECT = "Users"
_ALGORITHMS = ("ES256", "RS256")
_OK = 200


async def look_at_users(case: Case) -> list[Finding]:
    if case.inspection is None:
        return []  # told already: the same host is silent, or refuses the key
    settings = case.settings
    key = settings.supabase_publishable_key or settings.supabase_secret_key.get_secret_value()
    base, headers = settings.auth_url, {"apikey": key}
    keys, named, public = await asyncio.gather(
        hear(f"{base}/.well-known/jwks.json", headers=headers),
        hear(f"{base}/.well-known/openid-configuration", headers=headers),
        hear(f"{base}/settings", headers=headers),
    )
    return [*_keys(keys, settings), *_issuer(named, settings), *_sign_up(public)]


def _keys(heard: HostResponse | Silence, settings: Settings) -> Iterator[Finding]:
    where = f"{settings.supabase_url}/auth/v1/.well-known/jwks.json"
    listed = heard.fields.get("keys") if isinstance(heard, HostResponse) and heard.status == _OK else None
    if not isinstance(listed, list):
        if settings.supabase_jwt_secret is not None:
            yield note(_SUBJECT, "token-keys", f"no signing keys at {where} ({heard.told}); HS256 tokens are believed")
            return
        yield bad(
            _SUBJECT,
            "token-keys",
            f"no signing keys at {where} ({heard.told}): no user's token is believed",
            "check that SUPABASE_URL leads to Supabase's gateway, with Auth behind /auth/v1",
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
            "the project publishes no signing key, so its tokens are HS256: none is believed",
            "set SUPABASE_JWT_SECRET to the legacy JWT secret, or move the project to asymmetric signing keys",
        )


def _issuer(heard: HostResponse | Silence, settings: Settings) -> Iterator[Finding]:
    expected = settings.issuer
    issuer = heard.fields.get("issuer") if isinstance(heard, HostResponse) and heard.status == _OK else None
    if not isinstance(issuer, str):
        yield note(
            _SUBJECT,
            "issuer",
            f"Supabase Auth does not say what its tokens have as `iss`; {expected} is expected",
            "where users are answered 401, set SUPABASE_JWT_ISSUER to the `iss` of an access token",
        )
    elif issuer != expected:
        named = printable(issuer)[:200]
        yield bad(
            _SUBJECT,
            "issuer",
            f"tokens have `iss` {named}, and {expected} is expected: every user is answered 401",
            f"set SUPABASE_JWT_ISSUER={named}",
        )
    else:
        yield good(_SUBJECT, "issuer", f"tokens have the expected `iss`, {expected}")


def _sign_up(heard: HostResponse | Silence) -> Iterator[Finding]:
    told = heard.fields if isinstance(heard, HostResponse) and heard.status == _OK else {}
    confirms_itself, closed = told.get("mailer_autoconfirm"), told.get("disable_signup")
    external = told.get("external")
    if not isinstance(confirms_itself, bool):
        yield note(
            _SUBJECT,
            "confirm-email",
            f"Supabase Auth does not say whether e-mails are confirmed ({heard.told[:60]})",
            'see that "Confirm email" is on in Authentication, Sign In / Providers, Email',
        )
    elif confirms_itself and not closed:
        yield bad(
            _SUBJECT,
            "confirm-email",
            "e-mails are not confirmed: whoever signs up with an address is taken for its owner",
            'turn on "Confirm email" in Authentication, Sign In / Providers, Email (self-hosted: '
            "GOTRUE_MAILER_AUTOCONFIRM=false; supabase start: enable_confirmations = true)",
        )
    else:
        yield good(_SUBJECT, "confirm-email", "e-mails are confirmed" if not confirms_itself else "nobody may sign up")
    if isinstance(external, dict) and external.get("anonymous_users") is True and not closed:
        yield note(
            _SUBJECT,
            "anonymous",
            "anonymous sign-ins are on: they have no e-mail, and are answered 401 here",
            "turn them off in Authentication, Sign In / Providers, unless another application needs them",
        )
