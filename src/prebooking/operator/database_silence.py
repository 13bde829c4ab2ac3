"""Why the database did not answer: the same call once more, by its HTTP status and the form of its body."""

from urllib.parse import urlsplit

from prebooking.adapters.host_probe import HostResponse, Silence, Why, hear
from prebooking.operator.findings import Finding, bad
from prebooking.settings import Settings

_SUBJECT = "Database"
_MIGRATE = "run `prebooking migrate` with DATABASE_URL set"
_NO_SUCH_FUNCTION = ("PGRST202", "42883")
_NO_SUCH_KEY = ("PGRST301", "PGRST302", "PGRST303")
_NOT_ALLOWED = "42501"
_PAUSED = 540
_REDIRECTS, _CLIENT_ERRORS, _SERVER_ERRORS = range(300, 400), range(400, 500), range(500, 600)
_CHECK = "check SUPABASE_URL, that the project is not paused, and that this host can reach it"


async def why_it_did_not_answer(settings: Settings, told: str) -> Finding:
    key = settings.supabase_secret_key.get_secret_value()
    heard = await hear(
        f"{settings.supabase_url}/rest/v1/rpc/inspect_service",
        method="POST",
        headers={"apikey": key, "authorization": f"Bearer {key}"},
        content={"p_functions": [], "p_limit": 1, "p_public_url": settings.public_url},
    )
    if isinstance(heard, Silence):
        return _silent(heard, settings)
    for explain in (_by_code, _by_status):
        if (finding := explain(heard, settings)) is not None:
            return finding
    return bad(_SUBJECT, "database", f"does not answer at {settings.supabase_url} ({told})", _CHECK)


def _silent(silence: Silence, settings: Settings) -> Finding:
    fixes: dict[Why, str] = {
        Why.NAME: "check the name in SUPABASE_URL: a project that was paused for long or deleted loses its name",
        Why.REFUSED: "check host and port in SUPABASE_URL, and that Supabase runs there",
        Why.TLS: "check http or https in SUPABASE_URL, and the certificate of a host of your own",
        Why.TIME: "check SUPABASE_URL, that the project is not paused, and this host's firewall",
    }
    told = f"does not answer at {settings.supabase_url} ({silence.told})"
    fix = fixes.get(silence.why, _CHECK)
    return bad(_SUBJECT, "database", told, fix if "SUPABASE_URL" in fix else f"{fix}; {_CHECK}")


def _by_code(heard: HostResponse, settings: Settings) -> Finding | None:
    """What PostgREST says, or Supabase's gateway of the key."""
    code = heard.fields.get("code")
    if code in _NO_SUCH_FUNCTION:
        return bad(_SUBJECT, "migrations", "is reachable, but its functions are missing or old", _MIGRATE)
    if code == _NOT_ALLOWED:
        return bad(
            _SUBJECT,
            "key",
            "does not let this key call the functions",
            "set SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…), not the publishable one; "
            f"if it is, {_MIGRATE}",
        )
    if code in _NO_SUCH_KEY or (
        heard.status in (401, 403) and heard.fields and "www-authenticate" not in heard.headers
    ):
        fix = f"copy the secret key of the project at {settings.supabase_url} anew"
        return bad(_SUBJECT, "key", "refuses the key", fix)
    if code == "57014":
        fix = "see in Supabase's reports what keeps the database busy, and that autovacuum runs"
        return bad(_SUBJECT, "slow", "is too slow to be examined: it took over 0.9 s", fix)
    return None


def _by_status(heard: HostResponse, settings: Settings) -> Finding | None:
    at, status = f"at {settings.supabase_url}", heard.status
    explained: dict[int, tuple[str, str]] = {
        401: (
            "asks for a password of its own",
            "SUPABASE_URL leads to a proxy that protects it: let this host through",
        ),
        403: ("lets this host not through", "a firewall before SUPABASE_URL refuses this host: allow its address"),
        404: ("is not there: something else answers", _origin(settings)),
        405: ("is not there: something else answers", _origin(settings)),
        501: ("is not there: something else answers", _origin(settings)),
        429: ("is asked too often, says its gateway", "raise the gateway's rate limit for this host, or wait"),
        _PAUSED: ("is paused", "restore the project in Supabase's dashboard"),
    }
    if status in _REDIRECTS:
        fix = f"set SUPABASE_URL to the address itself, not to one that redirects to {heard.location}"
        return bad(_SUBJECT, "database", f"is not {at}: it redirects ({heard.told})", fix)
    if status in explained:
        told, fix = explained[status]
        return bad(_SUBJECT, "database", f"{told}, {at} ({heard.told})", fix)
    if status in _SERVER_ERRORS:
        fix = "the gateway at SUPABASE_URL answers, what is behind it doesn't: see the project's status, and wait"
        return bad(_SUBJECT, "database", f"does not answer {at}: its gateway says {heard.told}", fix)
    if status in _CLIENT_ERRORS:
        return bad(_SUBJECT, "database", f"refuses the call {at} ({heard.told})", _origin(settings))
    if not isinstance(heard.content, dict):
        return bad(_SUBJECT, "database", f"is not there: something else answers {at} ({heard.told})", _origin(settings))
    return None


def _origin(settings: Settings) -> str:
    parts = urlsplit(settings.supabase_url)
    host = parts.hostname or ""
    if "dashboard" in parts.path or host in ("supabase.com", "app.supabase.com"):
        return "SUPABASE_URL is the dashboard's address: set the project's own, https://<project>.supabase.co"
    if parts.path:
        return f"SUPABASE_URL is the project's address alone: take {parts.path} away"
    return "set SUPABASE_URL to the project's address, where /rest/v1 is PostgREST"
