"""A class by its hour and name, for where its id is not known, or may be another one by the time it opens."""

import re
import unicodedata
from dataclasses import dataclass

MOST_GYMS_ZONE = "Europe/Madrid"

_MARKS = re.compile("[\u0300-\u036f]")
_BLANKS = re.compile(r"[ \t\n\r\f\v]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WishedClass:
    """As the user knows it."""

    starts: str  #: HH:MM, on the gym's wall clock
    name: str | None = None  #: None: any class of that hour
    time_zone: str | None = None  #: of that wall clock; None: as the box's was told earlier, else MOST_GYMS_ZONE


def plain_name(name: str | None) -> str | None:
    """Returns the name without case, accents and double spaces: names that are equal then are the same; None for none.

    The database compares names in the same way (`plain_name` in sql/functions), and a test keeps the two alike.
    """
    letters = _MARKS.sub("", unicodedata.normalize("NFKD", name or ""))
    lower = "".join(letter.lower() for letter in letters)  # one by one: no letter's form depends on its neighbours
    return _BLANKS.sub(" ", lower).strip(" ") or None
