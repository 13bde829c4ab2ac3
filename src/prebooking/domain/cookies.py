"""A cookie of an AimHarder session, and which of AimHarder's two domains it belongs to."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Domain(StrEnum):
    """A domain of AimHarder's. There are gyms under both; cookies of one are not sent to hosts of the other."""

    COM = "aimharder.com"
    ES = "aimharder.es"


class Cookie(NamedTuple):
    """Name and value are secrets together, so no class that has cookies shows them in its repr."""

    name: str
    value: str
    domain: Domain = Domain.COM


_OF_THE_SESSION = "amhrdrauth"  # the one that signs its bearer in


def home_of(cookies: Sequence[Cookie]) -> Domain:
    """Returns the domain whose account host knows the session: that of the newest sign-in. The newest come last."""
    named = [cookie for cookie in cookies if cookie.name == _OF_THE_SESSION] or cookies
    return named[-1].domain if named else Domain.COM
