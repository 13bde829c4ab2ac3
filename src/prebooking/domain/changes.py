"""The rows that changed in the database since it was last read."""

from collections.abc import Sequence
from dataclasses import dataclass

from prebooking.domain.prebooking import Prebooking


@dataclass(frozen=True, slots=True)
class Changes:
    """Changed rows in their current state. `cursor`: opaque text for the next reading, which misses no late commit."""

    cursor: str
    prebookings: Sequence[Prebooking]
    next_page: str | None = None  #: the start of the next page of this reading; None: this is the last page
