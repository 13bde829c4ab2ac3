"""URLs and origins as settings: whatever passes here, each HTTP client can ask and each browser can send.

Clients differ in what they repair, quote or refuse, and most of them do it at the first request. So only what all of
them read alike is let through, and written in one way: scheme and host in small letters, no port that goes without
saying, no slash at the end.
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
# What a gym may be called stands for {box}; digits, lest they make an address of their surroundings.
_BOXES = ("box", "999")
_ORIGIN_HINT = "write each as browsers do, such as https://app.example.com, with commas between"


def url(value: str, *, user: bool = False, query: bool = False) -> str:
    """Raises ValueError, which says what is wrong and quotes nothing. `user`: one may stand before the host."""
    parts = _split(value)
    if "#" in value:
        raise ValueError("must not have a # in it: no server sees what follows")
    if not query and "?" in value:
        raise ValueError("must not have a query: leave away the ? and what follows")
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
    """With {box} for the sub-domain, or without. It stays as it is, but for slashes at its end."""
    if re.search(r"[{}<>]", value.replace("{box}", "")):
        raise ValueError("has a placeholder that nobody fills: write {box} where the sub-domain stands")
    for box in _BOXES:
        filled = url(value.replace("{box}", box))
        try:
            address = ip_address(urlsplit(filled).hostname or "")
        except ValueError:  # a name: what it leads to is looked at before each connection
            continue
        if not (address.is_global or address.is_loopback):
            raise ValueError("is a private address, which is never connected to: give a public one, or a loopback")
    return value.rstrip("/")


def url_of_proxy(value: str) -> str:
    found = url(value, user=True)
    if urlsplit(found).path:
        raise ValueError("must end after the host and the port of the proxy")
    return found


def origins(values: list[str]) -> list[str]:
    """As browsers send them. `*` alone is any; as a part of the first label it is any text without a dot."""
    found = [value if value == "*" else _origin(value) for value in values]
    if "*" in found and len(found) > 1:
        raise ValueError("has * and others: * alone already allows each origin")
    return found


def _origin(value: str) -> str:
    parts = _split(value.rstrip("/"), _ORIGIN_HINT)
    if parts.path or "?" in value or "#" in value or "@" in parts.netloc:
        raise ValueError(_ORIGIN_HINT)
    labels = (parts.hostname or "").split(".")
    if "*" not in value:
        return f"{parts.scheme}://{_authority(parts)}"
    if value.count("*") > 1 or "*" not in labels[0] or len(labels) < 3:  # noqa: PLR2004  # of https://*.com
        raise ValueError("* stands in the first label alone, before two others: https://*.example.com")
    return f"{parts.scheme}://{_authority(parts, '*')}"


def _split(value: str, hint: str = "must be an http(s) URL, such as https://example.com") -> SplitResult:
    if not value.isascii():
        raise ValueError("has letters that no URL has: write a host of another alphabet as xn--…, all else as %…")
    if not re.fullmatch(r"[!-~]*", value):
        raise ValueError("has a space, a line break or the like in it")
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
        raise ValueError("has no port from 1 to 65535 after the colon")
    return port


def _ipv6(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError("has no IPv6 address between its brackets") from None
    if not isinstance(address, IPv6Address) or address.scope_id is not None:
        raise ValueError("has no IPv6 address, or one of a single network, between its brackets")
    return str(address)


def check_host(host: str) -> None:
    """A name or an IPv4 address, in small letters. Raises ValueError."""
    labels = host.split(".")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):  # as browsers tell an address from a name
        try:
            IPv4Address(host)
        except ValueError:
            raise ValueError("has no IPv4 address, though its host ends in a number") from None
    elif len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("has no host that could have a name: letters, digits and hyphens between dots")


def passwords_in(text: str) -> Iterator[str]:
    """Of a URL."""
    try:
        password = urlsplit(text).password if "://" in text else None
    except ValueError:
        return
    if password:
        yield password
