"""A class by its hour and name: its id may be unknown, or may change before it opens."""

import re
import unicodedata
from dataclasses import dataclass

MOST_GYMS_ZONE = "Europe/Madrid"

_MARKS = re.compile("[\u0300-\u036f]")
_BLANKS = re.compile(r"[ \t\n\r\f\v]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WishedClass:
    """The class as the user names it."""

    starts: str  #: HH:MM, on the gym's wall clock
    name: str | None = None  #: None: any class of that hour
    time_zone: str | None = None  #: None: that of an earlier prebooking at the box, else MOST_GYMS_ZONE


def plain_name(name: str | None) -> str | None:
    """Returns the name without case, accents and double spaces, to compare names; None if there is none.

    The database compares names in the same way (`plain_name` in sql/functions), and a test keeps the two alike.
    """
    letters = _MARKS.sub("", unicodedata.normalize("NFKD", name or ""))
    lower = "".join(letter.lower() for letter in letters)  # one by one: no letter's form depends on its neighbours
    return _BLANKS.sub(" ", lower).strip(" ") or None
