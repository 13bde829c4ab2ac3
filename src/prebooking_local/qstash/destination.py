"""The destination of a request, exactly as it was published: the signature's `sub` repeats it."""

import re
from urllib.parse import unquote, urlsplit

from prebooking_local.qstash.refusal import RefusedError

_ENCODED_SCHEME = re.compile(r"https?%3a", re.IGNORECASE)
_SCHEME = re.compile(r"https?://[^/?#]", re.IGNORECASE)
_GROUP_NAME = re.compile(r"[A-Za-z0-9_-]+")


def destination_of(raw_path: str, query: str, *, prefix: str) -> tuple[str, dict[str, str]]:
    """Returns the destination behind the prefix, and the settings given as query parameters.

    Works on the raw path and query, because the SDK writes the destination into the path unescaped: its
    slashes, escapes and query are its own. Other clients percent-encode it whole.
    """
    target = raw_path.removeprefix(prefix)
    if _ENCODED_SCHEME.match(target):
        target = unquote(target)
    own: list[str] = []
    settings: dict[str, str] = {}
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        if name.startswith("upstash-"):
            settings[name] = unquote(value)
        elif name != "qstash_token":
            own.append(part)
    if own:
        target += ("&" if "?" in target else "?") + "&".join(own)
    return checked(target), settings


def checked(target: str) -> str:
    """Returns the destination, if it is one that this server delivers to."""
    if not target.isascii() or not target.isprintable() or " " in target:
        raise RefusedError(400, "invalid destination url: it has characters that are not allowed unescaped")
    if _SCHEME.match(target):
        _check_host(target)
        return target
    if target.startswith("api/"):
        raise RefusedError(501, f"destination {target!r} is not supported by this server")
    if _GROUP_NAME.fullmatch(target):
        raise RefusedError(404, f"url group {target} not found")
    raise RefusedError(400, "invalid destination url: endpoint has invalid scheme, add http:// or https://")


def _check_host(target: str) -> None:
    try:
        parts = urlsplit(target)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise RefusedError(400, "invalid destination url: no valid host and port")
