"""The class that a booking request is for, by the day's listings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prebooking.domain.class_match import WantedClass
from prebooking.domain.classes import ListedClass, Listing


@dataclass(slots=True, kw_only=True)
class Target:
    """The class by the last readable listing."""

    wanted: WantedClass
    class_id: str | None  #: the id that was found, else the row's
    found: ListedClass | None = None
    beside: tuple[str, ...] = ()  #: the ids of the other classes that were listed when it was found
    others: int = 0  #: how many classes the day lists, and not this one
    day_is_empty: bool = False

    def look(self, listing: Listing) -> None:
        """Finds the class, if it is listed. The user's bookings in the listing are ignored."""
        self.day_is_empty = not listing
        found = self.wanted.found_in(listing)
        if found is not None and not listing[found].cancelled:
            self.class_id, self.found, self.others = found, listing[found], 0
            self.beside = tuple(class_id for class_id in listing if class_id != found)
        else:
            # A row that could not be read may be the class.
            self.others = len(listing) if listing.complete else 0

    def answered_for(self, class_id: str | None) -> None:
        """The gym has answered for this id, though its listing may have shown another one since."""
        if class_id != self.class_id:
            self.class_id, self.found, self.beside = class_id, None, ()

    @property
    def may_be_sent(self) -> bool:
        """Returns whether there is a class to book.

        An id that is not listed is not sent while other classes are listed.
        """
        return self.found is not None or (self.class_id is not None and not self.others)

    def learnt(self) -> Mapping[str, Any]:
        """Returns the class's fields in the listing; empty while it is not found."""
        if self.found is None:
            return {}
        return {"id": self.class_id, "starts": self.found.hour, "name": self.found.name, "beside": [*self.beside]}
