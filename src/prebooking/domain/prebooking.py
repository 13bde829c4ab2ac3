"""A prebooking: a user's request to be booked into a class at the instant it opens."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.wished_class import WishedClass

# A box is named by the label of its sub-domain, never by a URL, so that sessions are sent to AimHarder only.
BOX_LABEL = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
# Labels of AimHarder's own hosts, which are no gyms and must not get a session.
NO_BOXES = frozenset(
    (
        *("admin", "api", "app", "assets", "auth", "cdn", "localhost", "login", "static", "status", "support", "www"),
        *("autodiscover", "cpanel", "ftp", "imap", "mail", "mx", "ns1", "ns2", "pop", "smtp", "vpn", "webmail", "wpad"),
    )
)


def is_box_label(name: str) -> bool:
    """Returns whether a gym may have this name. Non-ASCII names (xn--…) are refused."""
    return bool(re.fullmatch(BOX_LABEL, name)) and name not in NO_BOXES and not name.startswith("xn--")


def box_label(value: str) -> str:
    """Validates the name of a gym. Raises ValueError, which shows the right form."""
    if not is_box_label(value):
        raise ValueError("is not a gym's sub-domain: write what stands before .aimharder.com, such as mygym")
    return value


# AimHarder's own page refreshes a token when it is 29 minutes old. A token that is younger than 20 minutes at the last
# check, five minutes before the opening, is younger than 25 at the opening.
_FRESH_S = 20 * 60


class Status(StrEnum):
    """The status of a prebooking: pending → executing → completed or failed. A pending one can be cancelled."""

    PENDING = "pending"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRequest:
    """The class and the family member of a booking request."""

    day: str  #: YYYYMMDD, in the box's own calendar
    class_id: str | None  #: None: the box has not listed the class yet
    family_id: str  #: empty for the member itself
    insist: int  #: 1 takes the waiting list when the class is full


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A gym on AimHarder."""

    subdomain: str
    aimharder_id: str
    domain: Domain | None = None  #: None: unknown, so .com

    @property
    def host(self) -> str:
        """Its host at AimHarder, such as mygym.aimharder.com."""
        return f"{self.subdomain}.{self.domain or Domain.COM}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prebooking:
    """A row. `booking_data` stays as it was written: in a row of the web application it may be anything."""

    # The field is `class` in JSON, which is a keyword in Python.
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"alias_generator": lambda name: name.rstrip("_")}

    id: UUID
    user_email: str
    status: Status
    version: int
    attempts: int
    available_at: datetime
    box_subdomain: str | None
    box_aimharder_id: str | None
    box_domain: Domain | None = None  #: None: taken from the user's session
    booking_data: Mapping[str, Any]
    class_: WishedClass | None = None  #: by its hour and name, beside the id or instead of it
    series_id: UUID | None = None  #: the series that made it
    qstash_schedule_id: str | None = None
    warning: Mapping[str, Any] | None = None  #: code, message, since: advice to its user before the opening
    result: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None
    created_at: datetime
    updated_at: datetime
    executed_at: datetime | None = None

    def request(self) -> BookingRequest | None:
        """Returns the request to send, or None where `booking_data` is not usable."""
        data = self.booking_data
        booked = (self.result or {}).get("class_id")  # if it differs from the row's
        day, class_id = str(data.get("day") or ""), str(booked or data.get("id") or "") or None
        insist = str(data.get("insist") or 0)
        if not re.fullmatch(r"\d{8}", day) or not (class_id or self.class_) or insist not in ("0", "1"):
            return None
        family_id = str(data.get("familyId") or "")
        return BookingRequest(day=day, class_id=class_id, family_id=family_id, insist=int(insist))

    def box(self, legacy: Box | None, session: "Session | None" = None) -> Box | None:
        """Returns the box. `legacy`: that of adopted rows that name none. `session`: knows the member's boxes."""
        if self.box_subdomain is None and self.box_aimharder_id is None:
            return legacy
        if self.box_subdomain is None or self.box_aimharder_id is None:
            return None
        if not is_box_label(self.box_subdomain):
            return None
        learnt = session.box_domains.get(self.box_subdomain) if session else None
        return Box(subdomain=self.box_subdomain, aimharder_id=self.box_aimharder_id, domain=self.box_domain or learnt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A user's AimHarder session. Its values are secrets: they are never shown, not even by repr."""

    id: UUID
    user_email: str
    token: str = field(repr=False)  #: empty where the session can't be decrypted
    stored_token: str = field(repr=False)  #: as stored, perhaps encrypted, for compare-and-set
    cookies: tuple[Cookie, ...] = field(repr=False)
    fingerprint: str = field(repr=False)
    token_age_s: float | None = 0.0  #: when it was read; None: unknown
    rotation_unconfirmed: bool = False  #: the answer to a refresh was lost: AimHarder may have replaced the token
    remembered: bool = False  #: the account's password is stored: it can be signed in again
    password_refused: bool = False  #: the password was remembered, until AimHarder refused it
    box_domains: Mapping[str, Domain] = field(default_factory=dict[str, Domain])  #: of boxes not at .com

    @property
    def is_decryptable(self) -> bool:
        """Whether its secrets could be decrypted. If not, it can only be signed in again."""
        return bool(self.token)

    @property
    def is_old(self) -> bool:
        """Whether the checks before an opening refresh it."""
        return self.token_age_s is None or self.token_age_s > _FRESH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The position of the next page: before this row, newest first."""

    created_at: datetime
    id: UUID
