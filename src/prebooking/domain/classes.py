"""The classes of a box on one day, as its member sees them, to choose from."""

from dataclasses import dataclass
from datetime import time
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBox:
    """A box of the member's, as AimHarder tells it."""

    subdomain: str
    aimharder_id: str
    name: str


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
