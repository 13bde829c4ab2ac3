"""The classes of a box on one day, as a member sees them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Literal

from prebooking.domain.cookies import Domain
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.prebooking import Box
from prebooking.domain.wished_class import plain_name


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBox(Box):
    """One of the member's boxes, by AimHarder."""

    name: str


def domains_of(boxes: Iterable[MemberBox]) -> Mapping[str, Domain]:
    """Returns the domains by sub-domain, without those that are aimharder.com."""
    return {box.subdomain: box.domain for box in boxes if box.domain not in (None, Domain.COM)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimetabledClass:
    """A class with all that the box's listing shows. Unknown fields are None."""

    id: str
    name: str
    coach: str | None
    starts: time | None  #: on the box's wall clock, as `ends`
    ends: time | None
    capacity: int | None
    taken: int | None
    waiting: int
    you: Literal["booked", "waiting_list"] | None
    bookable: bool  #: by members, by the listing: neither cancelled nor reserved for the staff
    cancelled: bool


@dataclass(frozen=True, slots=True)
class ListedClass:
    """A class with the user's booking, by the box's listing."""

    book_state: int | None  #: 1: booked; 0: on the waiting list; None: neither, or unknown
    reservation_id: str | None
    cancelled: bool
    hour: str | None = None  #: its start as HH:MM, on the box's wall clock; None: unknown
    standing_known: bool = True  #: whether the listing shows the user's booking
    minutes: int | None = None  #: its length; None: unknown
    name: str | None = None  #: None where the box doesn't tell

    def ending(self, booked: Outcome = Outcome.BOOKED) -> Ending | None:
        """Returns the ending if the user is in the class or on its waiting list. `booked`: the outcome of a place."""
        if self.book_state not in (0, 1):
            return None
        outcome = booked if self.book_state == 1 else Outcome.WAITING_LIST
        return Ending(outcome, booking_id=self.reservation_id, book_state=self.book_state)

    @property
    def plain_name(self) -> str | None:
        """Returns the name as it is compared with others."""
        return plain_name(self.name)


class Listing(dict[str, ListedClass]):
    """A day's classes by their ids. `complete`: every row could be read, so a missing class is not listed."""

    def __init__(self, classes: Mapping[str, ListedClass] | None = None, *, complete: bool = True) -> None:
        super().__init__(classes or {})
        self.complete = complete
