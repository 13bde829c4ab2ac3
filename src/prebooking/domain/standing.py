"""Decides whether a user is in the class that a request was sent for, by a listing that shows the user's bookings."""

from dataclasses import replace
from enum import Enum, auto

from prebooking.domain.class_match import WantedClass
from prebooking.domain.classes import ListedClass, Listing


class NotFound(Enum):
    """Why no booking was found. ABSENT and ELSEWHERE prove that the user is not in the class, the others do not."""

    ABSENT = auto()  #: the user is not in the class
    ELSEWHERE = auto()  #: the same, but the user is in another class of that hour
    NOT_HERE = auto()  #: no listing: a redirect or 404, no box at that address, or none at the moment
    UNKNOWN = auto()  #: no usable answer


def standing_in(listing: Listing, wanted: WantedClass, sent: str | None, *, certain: bool) -> str | NotFound:
    """Returns the id of the user's class, or why there is none. A listing does not show that a session was dead.

    `sent`: the id of the request. `certain`: no other id was sent, since it was listed then. Otherwise another id may
    have been sent, and the hour decides.
    """
    listed = listing.get(sent) if sent is not None else None
    if sent is not None and listed is not None:
        if listed.book_state is not None:
            return sent
        if certain:
            return _absent(listing, listed)
        wanted = replace(wanted, starts=wanted.starts or listed.hour)
    return _by_hour(listing, wanted, anew=certain and sent is not None)


def _absent(listing: Listing, listed: ListedClass) -> NotFound:
    if not listed.standing_known:
        return NotFound.UNKNOWN
    mine = [other for other in listing.values() if other.book_state is not None]
    elsewhere = any(listed.hour is not None and other.hour == listed.hour for other in mine)
    return NotFound.ELSEWHERE if elsewhere else NotFound.ABSENT


def _by_hour(listing: Listing, wanted: WantedClass, *, anew: bool) -> str | NotFound:
    """Decides by the hour.

    `anew`: the sent id is not listed, which proves nothing, unless the class has another id now.
    """
    found = wanted.found_in(listing)
    if found is not None and not anew and listing[found].book_state is not None:
        return found
    if wanted.id is None or wanted.name is not None:
        for class_id, listed in wanted.of_that_hour(listing):
            if listed.book_state is not None:
                return class_id
    if wanted.starts is None or not listing or not listing.complete:
        return NotFound.UNKNOWN
    if anew and found is None:
        return NotFound.UNKNOWN
    # None of that hour with any name: names change.
    perhaps = [listed for listed in listing.values() if listed.hour is None or wanted.is_of_that_hour(listed)]
    known = all(listed.standing_known and listed.book_state is None for listed in perhaps)
    return NotFound.ABSENT if known else NotFound.UNKNOWN
