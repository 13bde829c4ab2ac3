"""Explains why the database did not respond, by the status and the body of a second call."""

from urllib.parse import urlsplit

from prebooking.adapters.host_probe import HostResponse, Silence, Why, probe
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


async def explain_failure(settings: Settings, message: str) -> Finding:
    key = settings.supabase_secret_key.get_secret_value()
    response = await probe(
        f"{settings.supabase_url}/rest/v1/rpc/inspect_service",
        method="POST",
        headers={"apikey": key, "authorization": f"Bearer {key}"},
        content={"p_functions": [], "p_limit": 1, "p_public_url": settings.public_url},
    )
    if isinstance(response, Silence):
        return _silent(response, settings)
    for explain in (_by_code, _by_status):
        if (finding := explain(response, settings)) is not None:
            return finding
    return bad(_SUBJECT, "database", f"does not respond at {settings.supabase_url} ({message})", _CHECK)


def _silent(silence: Silence, settings: Settings) -> Finding:
    fixes: dict[Why, str] = {
        Why.NAME: "check the host name in SUPABASE_URL: a project that is deleted or paused for long loses its name",
        Why.REFUSED: "check host and port in SUPABASE_URL, and that Supabase runs there",
        Why.TLS: "check http or https in SUPABASE_URL, and the certificate of a self-hosted server",
        Why.TIME: "check SUPABASE_URL, that the project is not paused, and this host's firewall",
    }
    message = f"does not respond at {settings.supabase_url} ({silence.summary})"
    fix = fixes.get(silence.why, _CHECK)
    return bad(_SUBJECT, "database", message, fix if "SUPABASE_URL" in fix else f"{fix}; {_CHECK}")


def _by_code(response: HostResponse, settings: Settings) -> Finding | None:
    """Explains an error code of PostgREST, or the gateway's refusal of the key."""
    code = response.fields.get("code")
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
        response.status in (401, 403) and response.fields and "www-authenticate" not in response.headers
    ):
        fix = f"set SUPABASE_SECRET_KEY to the secret key of the project at {settings.supabase_url}"
        return bad(_SUBJECT, "key", "refuses the key", fix)
    if code == "57014":
        fix = "check in Supabase's reports what keeps the database busy, and that autovacuum runs"
        return bad(_SUBJECT, "slow", "is too slow to be checked: the call took over 0.9 s", fix)
    return None


def _by_status(response: HostResponse, settings: Settings) -> Finding | None:
    at, status = f"at {settings.supabase_url}", response.status
    explained: dict[int, tuple[str, str]] = {
        401: (
            "asks for a password of its own",
            "SUPABASE_URL is behind a proxy with a login: let this host through",
        ),
        403: ("does not let this host through", "a firewall before SUPABASE_URL refuses this host: allow its address"),
        404: ("was not found: another server responds", _origin(settings)),
        405: ("was not found: another server responds", _origin(settings)),
        501: ("was not found: another server responds", _origin(settings)),
        429: ("is rate-limited by its gateway", "raise the gateway's rate limit for this host, or wait"),
        _PAUSED: ("is paused", "restore the project in Supabase's dashboard"),
    }
    if status in _REDIRECTS:
        fix = f"set SUPABASE_URL to the address itself, not to one that redirects to {response.location}"
        return bad(_SUBJECT, "database", f"is not {at}: it redirects ({response.summary})", fix)
    if status in explained:
        message, fix = explained[status]
        return bad(_SUBJECT, "database", f"{message}, {at} ({response.summary})", fix)
    if status in _SERVER_ERRORS:
        fix = (
            "the gateway at SUPABASE_URL responds, but not the database behind it: check the project's status, and wait"
        )
        return bad(_SUBJECT, "database", f"does not respond {at}: its gateway says {response.summary}", fix)
    if status in _CLIENT_ERRORS:
        return bad(_SUBJECT, "database", f"refuses the call {at} ({response.summary})", _origin(settings))
    if not isinstance(response.content, dict):
        return bad(
            _SUBJECT, "database", f"was not found: another server responds {at} ({response.summary})", _origin(settings)
        )
    return None


def _origin(settings: Settings) -> str:
    parts = urlsplit(settings.supabase_url)
    host = parts.hostname or ""
    if "dashboard" in parts.path or host in ("supabase.com", "app.supabase.com"):
        return "SUPABASE_URL is the dashboard's address: set it to the project's, https://<project>.supabase.co"
    if parts.path:
        return f"remove {parts.path} from SUPABASE_URL: it is the project's address without a path"
    return "set SUPABASE_URL to the project's address, where /rest/v1 is PostgREST"
