"""The rows that changed in the database since it was last read."""

from collections.abc import Sequence
from dataclasses import dataclass

from prebooking.domain.prebooking import Prebooking


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows as they are now. `cursor` is where to go on; no late commit is missed. It is opaque text."""

    cursor: str
    prebookings: Sequence[Prebooking]
    next_page: str | None = None  #: where the next page of the same reading begins; None: this was the last
