"""The URLs of AimHarder's hosts under its two domains, by the settings."""

import re
from dataclasses import dataclass

from prebooking.domain.cookies import Domain
from prebooking.domain.prebooking import Box

_UNDER_COM = re.compile(r"^(https?://(?:[^/@:]*\.)?)aimharder\.com(?=[:/]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hosts:
    """URLs without a slash at the end. Those under aimharder.com stand for both domains, any other for itself."""

    box_url: str  #: with {box}, where it is not of one gym alone
    account_url: str
    login_url: str

    def box(self, box: Box) -> str:
        return under(box.domain, self.box_url).replace("{box}", box.subdomain)

    def account(self, domain: Domain | None) -> str:
        return under(domain, self.account_url)


def under(domain: Domain | None, url: str) -> str:
    """Returns the URL with `domain` in the place of aimharder.com; a URL of another host is returned as it is."""
    return url if domain is None else _UNDER_COM.sub(rf"\1{domain}", url)
