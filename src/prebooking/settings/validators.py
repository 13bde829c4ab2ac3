"""The types of the settings' fields, which validate the values.

An error says how to correct the value and never quotes it: it may be a secret.
"""

import base64
import binascii
import re
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from prebooking.domain.opening_rules import is_zone
from prebooking.domain.prebooking import box_label
from prebooking.settings.forward_headers import ForwardHeader, forward_headers
from prebooking.settings.jwt_claims import claims_of
from prebooking.settings.urls import check_host, origins, url, url_of_gyms, url_of_proxy

_LONGEST_KEY = 4000
_SHORTEST_KEY = 20
_SHORTEST_WEBHOOK_KEY = 24
_SHORTEST_JWT_SECRET = 32  # for HS256, RFC 7518
_SESSION_KEY_BYTES = 32
PLAIN = "plain"  #: in place of the first session key: nothing is encrypted yet
SEALED_ONLY = "sealed-only"  #: in place of the first session key: everything is encrypted, and what is not is ignored
_QUOTES = "\"'`"

MOST = 2**31 - 1  #: the database's integer
A_DAY_S = 24 * 3600
LONGEST_BEFORE = 90 * 24 * 60  #: minutes; no class is announced so long before


def one_line(value: Any) -> Any:
    """Validates what holds for all settings."""
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        raise ValueError("has a line break or another invisible character: type it again")
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        raise ValueError("is in quotes: remove them")
    return value


def _secret(check: Callable[[str], Any]) -> AfterValidator:
    def checked(value: SecretStr) -> SecretStr:
        check(value.get_secret_value())
        return value

    return AfterValidator(checked)


def _at_least(characters: int) -> AfterValidator:
    def long_enough(value: str) -> None:
        if len(value) < characters:
            raise ValueError(f"is too short: it must have {characters} characters or more; copy all of it")

    return _secret(long_enough)


def _header_word(value: str) -> str:
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("has a space or a character that no key has: copy it again")
    if len(value) > _LONGEST_KEY:
        raise ValueError(f"is longer than {_LONGEST_KEY} characters: copy only the key")
    return value


def _hmac_key(value: str) -> None:
    import jwt  # noqa: PLC0415  # takes longer than a migration, which needs none

    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(value)
    except jwt.InvalidKeyError:
        raise ValueError("is a public key or a certificate, with which anybody could sign: set the secret") from None


def _publishable(value: str) -> str:
    """Validates what the page shows to everybody."""
    claims = claims_of(value)
    if value.startswith("sb_secret_") or (claims and claims.get("role") != "anon"):
        raise ValueError("is a secret key, and the page would show it to everybody: set the publishable one")
    return value


def _unpublished(value: str) -> None:
    if value.startswith("sb_publishable_") or claims_of(value).get("role") == "anon":
        raise ValueError("is the project's publishable key, which everybody can have: set a secret")


def _webhook_secret(value: str) -> None:
    if len(_base64(value.removeprefix("whsec_"))) < _SHORTEST_WEBHOOK_KEY or not value.startswith("whsec_"):
        raise ValueError('must be "whsec_" and 24 bytes or more in base64: `echo whsec_$(openssl rand -base64 32)`')


def _base64(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # not base64; not ASCII
        return b""


def _database_url(value: str) -> None:
    if not re.match(r"postgres(ql)?://", value):
        raise ValueError("must be a connection string: postgresql://user:password@host:5432/database")
    if re.search(r"[\[<](your-)?password[\]>]", value, re.IGNORECASE):
        raise ValueError("has a placeholder instead of the database's password: put the password in its place")


def _list(value: Any) -> Any:
    """Splits a comma-separated list."""
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()]


def _url_before(*paths: str) -> Callable[[str], str]:
    """Returns a validator of a base URL, which must not include one of these paths."""

    def checked(value: str) -> str:
        found = url(value)
        for path in paths:
            if urlsplit(found).path.endswith(path):
                raise ValueError(f"must not include {path}: remove it")
        return found

    return checked


def _member(value: str) -> str:
    email, _, password = value.partition(":")
    if "@" not in email or not password:
        raise ValueError("write each as email:password, with commas between")
    return value


def _zone(value: str) -> str:
    if not is_zone(value):
        raise ValueError("must be a time zone's name, such as Europe/Madrid")
    return value


def _host(value: str) -> str:
    try:
        ip_address(value if value.isascii() else "")
    except ValueError:
        check_host(value.lower())
    return value


def _box_number(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise ValueError("is not a number: it is what AimHarder calls boid or box")
    return value


def _session_keys(values: list[SecretStr]) -> list[SecretStr]:
    if len(values) == 1 and is_mark(values[0]):
        raise ValueError(f"needs a key after {values[0].get_secret_value()}: add one, or leave it empty")
    for n, value in enumerate(values):
        if len(session_key(value)) != _SESSION_KEY_BYTES and (n > 0 or not is_mark(value)):
            raise ValueError("each key must be 32 bytes in base64: make one with `openssl rand -base64 32`")
    return values


def session_key(value: SecretStr) -> bytes:
    return _base64(value.get_secret_value().replace("-", "+").replace("_", "/"))


def is_mark(value: SecretStr) -> bool:
    return value.get_secret_value() in (PLAIN, SEALED_ONLY)


#: The base URL of a server.
Url = Annotated[str, AfterValidator(url)]
SupabaseUrl = Annotated[str, AfterValidator(_url_before("/rest/v1", "/auth/v1"))]
QStashUrl = Annotated[str, AfterValidator(_url_before("/v2", "/v2/publish"))]
GymUrl = Annotated[str, AfterValidator(url_of_gyms)]
ProxyUrl = Annotated[str, AfterValidator(url_of_proxy)]
#: A webhook's URL is a secret: its path, query or user often authenticate the caller.
WebhookUrl = Annotated[SecretStr, _secret(partial(url, user=True, query=True))]
DatabaseUrl = Annotated[SecretStr, _secret(_database_url)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]

#: Sent in a header, unchanged.
PublicKey = Annotated[str, AfterValidator(_header_word), AfterValidator(_publishable)]
Token = Annotated[SecretStr, _secret(_header_word)]
ServiceKey = Annotated[SecretStr, _secret(_header_word), _at_least(_SHORTEST_KEY), _secret(_unpublished)]
SigningKey = Annotated[SecretStr, _secret(_header_word), _at_least(_SHORTEST_KEY), _secret(_hmac_key)]
JwtSecret = Annotated[SecretStr, _at_least(_SHORTEST_JWT_SECRET), _secret(_hmac_key), _secret(_unpublished)]
WebhookSecret = Annotated[SecretStr, _secret(_webhook_secret)]

#: Comma-separated; pydantic-settings must not parse them as JSON.
Origins = Annotated[list[str], NoDecode, BeforeValidator(_list), AfterValidator(origins)]
SessionKeys = Annotated[list[SecretStr], NoDecode, BeforeValidator(_list), AfterValidator(_session_keys)]
ForwardHeaders = Annotated[list[ForwardHeader], NoDecode, BeforeValidator(forward_headers)]
Members = Annotated[list[Annotated[str, AfterValidator(_member)]], NoDecode, BeforeValidator(_list)]

Count = Annotated[int, Field(ge=1, le=MOST)]
TimeZone = Annotated[str, AfterValidator(_zone)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]
BoxLabel = Annotated[str, AfterValidator(box_label)]
BoxNumber = Annotated[str, AfterValidator(_box_number)]
