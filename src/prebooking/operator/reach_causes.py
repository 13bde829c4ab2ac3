"""Identifies what responds at PUBLIC_URL instead of the service, by status, headers and body, and how to fix it."""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from prebooking.adapters.host_probe import HostResponse
from prebooking.domain.errors import MessagingError, MessagingTrouble
from prebooking.domain.plain_text import printable
from prebooking.settings import Settings

_OPEN = (
    "exempt POST /qstash/* from it, since QStash signs its requests; if it accepts a bypass header, have QStash send "
    "that (QSTASH_FORWARD_HEADERS)"
)
# Signs, in lower case, in headers and body of services that require authentication first.
_GUARDS = (
    ("cloudflareaccess", "Cloudflare Access"),
    ("cf-mitigated", "a Cloudflare challenge"),
    ("just a moment", "a Cloudflare challenge"),
    ("challenge-platform", "a Cloudflare challenge"),
    ("x-goog-iap", "Google's identity-aware proxy"),
    ("accounts.google.com", "Google's identity-aware proxy"),
    ("vercel", "Vercel's deployment protection"),
    ("netlify", "Netlify's password protection"),
    ("x-ms-", "Azure's authentication"),
    ("login.microsoftonline", "Microsoft's sign-in"),
    ("oauth2", "a proxy that asks for a sign-in"),
    ("basic realm", "a proxy that asks for a password (basic auth)"),
)
_ASKS = (401, 403, 407)


@dataclass(frozen=True, slots=True)
class Cause:
    message: str
    fix: str


def is_alive(response: HostResponse) -> bool:
    return response.status == HTTPStatus.OK and response.fields.get("status") == "alive"


def identify(response: HostResponse, settings: Settings) -> Cause:
    redirect = response.location
    if response.status in range(300, 400) or (redirect and response.status not in _ASKS):
        return _redirect(response, settings)
    if response.status in _ASKS or _guard(response):
        guard = _guard(response) or "a proxy in front of the service"
        return Cause(f"is not reached: {guard} requires authentication first ({response.summary})", _OPEN)
    if response.status in (404, 405, 410, 501):
        message = f"is reached, but another server responds there ({response.summary})"
        return Cause(message, f"point PUBLIC_URL at this service, {_path(settings)}; deploy this release there")
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = response.summary.partition(" ")[2].partition(" ")[2]
        message = f"responds HTTP {response.status}: {words}".rstrip(": ")
        fix = "check that the service runs and what it logged at that time; a proxy in front of it may have responded"
        return Cause(message, fix)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Cause(f"is limited by a proxy ({response.summary})", "exempt POST /qstash/* from the proxy's rate limit")
    message = f"is reached, but another server responds there ({response.summary})"
    return Cause(message, f"point PUBLIC_URL at this service, {_path(settings)}")


def _guard(response: HostResponse) -> str | None:
    text = " ".join((*(f"{name} {value}" for name, value in response.headers.items()), response.body[:4000])).lower()
    if response.status < HTTPStatus.BAD_REQUEST and "<html" not in text:
        return None
    found = next((guard for sign, guard in _GUARDS if sign in text), None)
    # The platform's name is in the headers of all its responses.
    by_platform = found is not None and response.status not in _ASKS and "challenge" not in found
    return None if by_platform else found


def _redirect(response: HostResponse, settings: Settings) -> Cause:
    to = response.location or "another address"
    if any(sign in to.lower() for sign in ("login", "signin", "sign-in", "oauth", "auth?", "access/", "sso")):
        guard = _guard(HostResponse(status=401, headers=response.headers, body=response.body, ahead_s=None))
        return Cause(f"is not reached: {guard or 'a proxy'} sends QStash to a sign-in, {to}", _OPEN)
    base = to.partition("/healthz")[0].partition("/qstash/")[0].rstrip("/")
    message = f"redirects to {to} (HTTP {response.status}), and QStash follows no redirect"
    if base == settings.public_url:
        return Cause(message, "configure the proxy to serve the path without adding a slash")
    return Cause(
        message, f"set PUBLIC_URL={base or to}, then run `prebooking sweep`; `prebooking schedule-sweep` if used"
    )


def _path(settings: Settings) -> str:
    path = urlsplit(settings.public_url).path
    if "/qstash" in path:
        return "with its path, but without /qstash and what follows"
    return f"with its path (here {path})" if path else "with its path (here none)"


def why_refused(exc: MessagingError, settings: Settings) -> Cause:
    """Explains why QStash did not accept the test message."""
    host = urlsplit(settings.public_url).hostname
    refused = {
        MessagingTrouble.READ_ONLY: (
            "can't be tested: the token is read-only",
            "set QSTASH_TOKEN to the token, not to the read-only one",
        ),
        MessagingTrouble.LIMITED: (
            "can't be tested: QStash accepts no more messages today",
            "wait, or upgrade the plan: its daily limit is reached",
        ),
    }
    if exc.trouble in refused:
        return Cause(*refused[exc.trouble])
    return Cause(
        f"is refused by QStash ({printable(str(exc))})",
        f"set PUBLIC_URL to a host that the internet reaches; {host} is refused",
    )
