"""Validates and normalizes URLs and origins.

HTTP clients differ in what they repair, quote or refuse, and most do it at the first request. So only URLs that all of
them read alike are accepted, and normalized: scheme and host in lower case, no default port, no slash at the end.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

_LONGEST = 2000
_LONGEST_HOST = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_USER = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LARGEST_PORT = 65535
# Examples of sub-domains; digits, because they could turn the host into an IP address.
_BOXES = ("box", "999")
_ORIGIN_HINT = "must be origins such as https://app.example.com, separated by commas"


def url(value: str, *, user: bool = False, query: bool = False) -> str:
    """Returns the normalized URL. `user`, `query`: whether they are allowed. Raises ValueError, without quoting it."""
    parts = _split(value)
    if "#" in value:
        raise ValueError("must not have a # fragment: remove it")
    if not query and "?" in value:
        raise ValueError("must not have a query: remove the ? and what follows")
    if not user and "@" in parts.netloc:
        raise ValueError("must not have a user or a password before the host")
    if not (_PATH.fullmatch(parts.path) and _QUERY.fullmatch(parts.query)):
        raise ValueError("has a character in its path that must be percent-encoded")
    segments = parts.path.rstrip("/").split("/")
    if not query and ("" in segments[1:] or {".", ".."} & set(segments)):
        raise ValueError("must not have //, /. or /.. in its path")
    before, at, _ = parts.netloc.rpartition("@")
    if not _USER.fullmatch(before):
        raise ValueError("has a character in its user or password that must be percent-encoded")
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path.rstrip("/")
    return f"{parts.scheme}://{before}{at}{_authority(parts)}{path}"


def url_of_gyms(value: str) -> str:
    """Validates a URL that may have {box} for the sub-domain. Only slashes at the end are removed."""
    if re.search(r"[{}<>]", value.replace("{box}", "")):
        raise ValueError("has an unknown placeholder: write {box} for the sub-domain")
    for box in _BOXES:
        filled = url(value.replace("{box}", box))
        try:
            address = ip_address(urlsplit(filled).hostname or "")
        except ValueError:  # a host name: its addresses are checked before each connection
            continue
        if not (address.is_global or address.is_loopback):
            raise ValueError(
                "is a private address, to which the service never connects: use a public or a loopback address"
            )
    return value.rstrip("/")


def url_of_proxy(value: str) -> str:
    found = url(value, user=True)
    if urlsplit(found).path:
        raise ValueError("must not have a path after the proxy's host and port")
    return found


def origins(values: list[str]) -> list[str]:
    """Returns normalized origins. `*` alone allows all; within the first label it matches text without dots."""
    found = [value if value == "*" else _origin(value) for value in values]
    if "*" in found and len(found) > 1:
        raise ValueError("has * and other origins: * alone allows every origin")
    return found


def _origin(value: str) -> str:
    parts = _split(value.rstrip("/"), _ORIGIN_HINT)
    if parts.path or "?" in value or "#" in value or "@" in parts.netloc:
        raise ValueError(_ORIGIN_HINT)
    labels = (parts.hostname or "").split(".")
    if "*" not in value:
        return f"{parts.scheme}://{_authority(parts)}"
    if value.count("*") > 1 or "*" not in labels[0] or len(labels) < 3:  # noqa: PLR2004  # of https://*.com
        raise ValueError("may have * only in the first label, before two others: https://*.example.com")
    return f"{parts.scheme}://{_authority(parts, '*')}"


def _split(value: str, hint: str = "must be an http(s) URL, such as https://example.com") -> SplitResult:
    if not value.isascii():
        raise ValueError("has non-ASCII letters: write the host as xn--…, everything else percent-encoded")
    if not re.fullmatch(r"[!-~]*", value):
        raise ValueError("has a space, a line break or another control character")
    if len(value) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(hint) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(hint)
    return parts


def _authority(parts: SplitResult, wildcard: str = "") -> str:
    host, port = parts.hostname or "", _port(parts)
    if "[" in parts.netloc:
        shown = f"[{_ipv6(host)}]"
    else:
        check_host(host.replace(wildcard, "x") if wildcard else host)
        shown = host
    return shown if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{shown}:{port}"


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise ValueError("must have a port from 1 to 65535 after the colon")
    return port


def _ipv6(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError("must have an IPv6 address between the brackets") from None
    if not isinstance(address, IPv6Address) or address.scope_id is not None:
        raise ValueError("must have an IPv6 address without a zone between the brackets")
    return str(address)


def check_host(host: str) -> None:
    """Validates a lower-case host name or IPv4 address. Raises ValueError."""
    labels = host.split(".")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):  # browsers take it for an IPv4 address
        try:
            IPv4Address(host)
        except ValueError:
            raise ValueError("must have an IPv4 address or a host name that does not end in a number") from None
    elif len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must have a host name of letters, digits and hyphens between dots")


def passwords_in(text: str) -> Iterator[str]:
    """Yields the password of a URL."""
    try:
        password = urlsplit(text).password if "://" in text else None
    except ValueError:
        return
    if password:
        yield password
