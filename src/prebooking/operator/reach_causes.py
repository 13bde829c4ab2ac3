"""Who answers at PUBLIC_URL in the service's place, told by status, headers and words; and what to do about each."""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from prebooking.adapters.host_probe import HostResponse
from prebooking.adapters.qstash.messages import status_of
from prebooking.domain.errors import MessagingError
from prebooking.domain.plain_text import printable
from prebooking.settings import Settings

_OPEN = (
    "let POST /qstash/* through without it, since QStash signs what it sends; where it takes a header for bypassing, "
    "have QStash bring that along (QSTASH_FORWARD_HEADERS)"
)
# What stands in headers and words, in lower case, of those who ask first who somebody is.
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
class Found:
    told: str
    fix: str


def is_alive(heard: HostResponse) -> bool:
    return heard.status == HTTPStatus.OK and heard.fields.get("status") == "alive"


def who_answers(heard: HostResponse, settings: Settings) -> Found:
    redirect = heard.location
    if heard.status in range(300, 400) or (redirect and heard.status not in _ASKS):
        return _redirect(heard, settings)
    if heard.status in _ASKS or _guard(heard):
        guard = _guard(heard) or "something before the service"
        return Found(f"is not reached: {guard} asks first who is there ({heard.told})", _OPEN)
    if heard.status in (404, 405, 410, 501):
        told = f"is reached, but something else answers there ({heard.told})"
        return Found(told, f"point PUBLIC_URL at this service, {_path(settings)}; deploy this release there")
    if heard.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = f"answers HTTP {heard.status}: {heard.told.partition(' ')[2].partition(' ')[2]}".rstrip(": ")
        fix = "a proxy before it may answer in its stead: see that the service runs, and what it logs at that instant"
        return Found(told, fix)
    if heard.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Found(f"is limited by a proxy ({heard.told})", "take POST /qstash/* out of the proxy's rate limit")
    told = f"is reached, but something else answers there ({heard.told})"
    return Found(told, f"point PUBLIC_URL at this service, {_path(settings)}")


def _guard(heard: HostResponse) -> str | None:
    told = " ".join((*(f"{name} {value}" for name, value in heard.headers.items()), heard.body[:4000])).lower()
    if heard.status < HTTPStatus.BAD_REQUEST and "<html" not in told:
        return None
    found = next((guard for sign, guard in _GUARDS if sign in told), None)
    # The platform's name stands in the headers of all that it serves.
    by_platform = found is not None and heard.status not in _ASKS and "challenge" not in found
    return None if by_platform else found


def _redirect(heard: HostResponse, settings: Settings) -> Found:
    to = heard.location or "another address"
    if any(sign in to.lower() for sign in ("login", "signin", "sign-in", "oauth", "auth?", "access/", "sso")):
        guard = _guard(HostResponse(status=401, headers=heard.headers, body=heard.body, ahead_s=None))
        return Found(f"is not reached: {guard or 'a proxy'} sends QStash to a sign-in, {to}", _OPEN)
    base = to.partition("/healthz")[0].partition("/qstash/")[0].rstrip("/")
    told = f"redirects to {to} (HTTP {heard.status}), and QStash follows no redirect"
    if base == settings.public_url:
        return Found(told, "have the proxy serve the path as it stands, without a slash at its end")
    return Found(told, f"set PUBLIC_URL={base or to}, then run `prebooking sweep`; `prebooking schedule-sweep` if used")


def _path(settings: Settings) -> str:
    path = urlsplit(settings.public_url).path
    if "/qstash" in path:
        return "path included, but without /qstash and what follows"
    return f"path included ({path} is it here)" if path else "path included (none is set here)"


def why_refused(exc: MessagingError, settings: Settings) -> Found:
    """QStash did not take the test message."""
    host = urlsplit(settings.public_url).hostname
    refused: dict[int | None, tuple[str, str]] = {
        403: ("can't be tried: the token may only read", "set QSTASH_TOKEN to the token itself, not the read-only one"),
        429: ("can't be tried: QStash takes no more today", "wait, or raise the plan: its limit is used up"),
    }
    status = status_of(exc.__cause__)
    if status in refused:
        return Found(*refused[status])
    return Found(f"is refused by QStash ({printable(str(exc))})", f"{host} must be a host that the world reaches")
