"""The classes of a box on one day, as its member sees them."""

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
    """A class as the box's listing shows it; None where it says nothing."""

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


@dataclass(frozen=True, slots=True)
class ListedClass:
    """A class as the user sees it in the box's listing."""

    book_state: int | None  #: 1 booked, 0 on the waiting list, None neither, or not known
    reservation_id: str | None
    cancelled: bool
    hour: str | None = None  #: its start as HH:MM, on the box's wall clock; None where the box doesn't tell
    standing_known: bool = True  #: whether the row tells how the user stands
    minutes: int | None = None  #: its length; None where the box doesn't tell
    name: str | None = None  #: None where the box doesn't tell


class Listing(dict[str, ListedClass]):
    """A day's classes by their ids. `complete`: a class that is not here is not listed; else its row may be one that
    could not be read.
    """

    def __init__(self, classes: Mapping[str, ListedClass] | None = None, *, complete: bool = True) -> None:
        super().__init__(classes or {})
        self.complete = complete
