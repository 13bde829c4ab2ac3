"""The classes of a box on one day, as its member sees them, to choose from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Literal

from prebooking.domain.cookies import Domain
from prebooking.domain.prebooking import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBox(Box):
    """A box of the member's, as AimHarder tells it."""

    name: str


def domains_of(boxes: Iterable[MemberBox]) -> Mapping[str, Domain]:
    """Returns by sub-domain the domains of those that are not under aimharder.com, which is everyone else's."""
    return {box.subdomain: box.domain for box in boxes if box.domain not in (None, Domain.COM)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimetabledClass:
    """What the box's listing says of a class; None where it doesn't."""

    id: str
    name: str
    coach: str | None
    starts: time | None  #: on the box's wall clock, as `ends`
    ends: time | None
    capacity: int | None
    taken: int | None
    waiting: int
    you: Literal["booked", "waiting_list"] | None
    bookable: bool  #: by members, as far as the listing knows: neither cancelled nor kept for the staff
    cancelled: bool
