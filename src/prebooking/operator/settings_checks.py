"""Settings that the start takes, and that are yet not what anybody wants in production."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from prebooking.operator.case import Case
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.settings import Settings, borrowed_names

_SUBJECT = "Settings"


async def look_at_settings(case: Case) -> list[Finding]:
    borrowed = "".join(f"; {name} from {variable}" for name, variable in borrowed_names(Settings).items())
    return [good(_SUBJECT, "settings", f"all are there and fit together{borrowed}"), *_unwise(case.settings)]


def _unwise(settings: Settings) -> Iterator[Finding]:
    outside = [url for url in (settings.public_url, settings.supabase_url, settings.qstash_url) if not _is_here(url)]
    if settings.schedule_for_now:
        told = "SCHEDULE_FOR_NOW=true: whatever is created opens at once"
        fix = "unset SCHEDULE_FOR_NOW: it is for local development alone"
        yield bad(_SUBJECT, "schedule-for-now", told, fix) if outside else note(_SUBJECT, "schedule-for-now", told, fix)
    if "*" in settings.frontend_origins:
        told = "FRONTEND_ORIGINS=*: any web page may call the API with a token that it has"
        yield note(_SUBJECT, "origins", told, "name the pages' origins, such as https://app.example.com")
    for origin in settings.frontend_origins:
        if origin.startswith("http://") and not _is_here(origin):
            told = f"FRONTEND_ORIGINS has {origin}, whose pages are not encrypted"
            yield note(_SUBJECT, "origins", told, "serve them by https, and write that")
    if settings.public_url.startswith("http://") and not _is_here(settings.public_url):
        told = "PUBLIC_URL is http: deliveries and tokens are not encrypted on their way"
        yield note(_SUBJECT, "encryption", told, "serve it by https, and write that")


def _is_here(url: str) -> bool:
    """On this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
