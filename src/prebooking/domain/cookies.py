"""A cookie of an AimHarder session, and which of AimHarder's two domains it belongs to."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

_AUTH_COOKIE = "amhrdrauth"


class Domain(StrEnum):
    """A domain of AimHarder. There are gyms under both; cookies of one are not sent to hosts of the other."""

    COM = "aimharder.com"
    ES = "aimharder.es"


class Cookie(NamedTuple):
    """A cookie. It is a secret, so no class that has cookies shows them in its repr."""

    name: str
    value: str
    domain: Domain = Domain.COM


def domain_of(host: str) -> Domain:
    """Returns the domain that a host belongs to. Any other host, such as a local server, counts as .com."""
    return Domain.ES if f".{host.lower()}".endswith(f".{Domain.ES}") else Domain.COM


def home_of(cookies: Sequence[Cookie]) -> Domain:
    """Returns the domain of the newest authentication cookie, whose account host knows the session."""
    named = [cookie for cookie in cookies if cookie.name == _AUTH_COOKIE] or cookies
    return named[-1].domain if named else Domain.COM
