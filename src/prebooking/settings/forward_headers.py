"""QSTASH_FORWARD_HEADERS: headers as `name: value`, separated by commas."""

import re
from dataclasses import dataclass

from pydantic import SecretStr

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")  # what every client and server accepts
_SHAPE = "must be `name: value` pairs, separated by commas"
# Headers of QStash, and those that describe the request itself.
_OURS = re.compile(
    r"upstash-.*|host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-connection",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ForwardHeader:
    name: str
    value: SecretStr


def forward_headers(text: str | list[ForwardHeader]) -> list[ForwardHeader]:
    """Parses the headers. Raises ValueError, which quotes no value."""
    if isinstance(text, list):
        return text
    headers: dict[str, ForwardHeader] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, value = (piece.strip() for piece in part.partition(":"))
        if not colon or not _NAME.fullmatch(name):
            raise ValueError(f"{_SHAPE}; a value can't contain a comma")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} is empty or has a character that is not allowed in a header")
        if _OURS.fullmatch(name):
            raise ValueError(f"{name} is set by QStash itself: remove it")
        if name.lower() in headers:
            raise ValueError(f"{name} occurs twice: remove one")
        headers[name.lower()] = ForwardHeader(name, SecretStr(value))
    return [*headers.values()]
