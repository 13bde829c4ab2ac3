"""Warns of settings that are valid but not meant for production."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from prebooking.operator.check_context import CheckContext
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.settings import Settings, borrowed_names

_SUBJECT = "Settings"


async def check_settings(context: CheckContext) -> list[Finding]:
    borrowed = "".join(f"; {name} from {variable}" for name, variable in borrowed_names(Settings).items())
    return [good(_SUBJECT, "settings", f"complete and consistent{borrowed}"), *_unwise(context.settings)]


def _unwise(settings: Settings) -> Iterator[Finding]:
    outside = [url for url in (settings.public_url, settings.supabase_url, settings.qstash_url) if not _is_here(url)]
    if settings.schedule_for_now:
        message = "SCHEDULE_FOR_NOW=true: every prebooking is booked at once"
        fix = "unset SCHEDULE_FOR_NOW: it is for local development only"
        yield (
            bad(_SUBJECT, "schedule-for-now", message, fix)
            if outside
            else note(_SUBJECT, "schedule-for-now", message, fix)
        )
    if "*" in settings.frontend_origins:
        message = "FRONTEND_ORIGINS=*: every web page may call the API"
        yield note(_SUBJECT, "origins", message, "list the origins of your pages, such as https://app.example.com")
    for origin in settings.frontend_origins:
        if origin.startswith("http://") and not _is_here(origin):
            message = f"FRONTEND_ORIGINS has {origin}, which is not encrypted"
            yield note(_SUBJECT, "origins", message, "serve the pages by https, and list the https origin")
    if settings.public_url.startswith("http://") and not _is_here(settings.public_url):
        message = "PUBLIC_URL is http: deliveries and tokens are not encrypted in transit"
        yield note(_SUBJECT, "encryption", message, "serve it by https, and set PUBLIC_URL to the https address")


def _is_here(url: str) -> bool:
    """Whether the URL is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
