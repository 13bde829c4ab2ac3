"""What changed in the database since it was last looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prebooking.domain.prebooking import Prebooking


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows as they are now. `cursor` is where to go on, whatever commits late: opaque text."""

    cursor: str
    prebookings: Sequence[Prebooking]
    next_page: str | None = None  #: where the next page of the same reading begins; None: this was the last


class EventStore(Protocol):
    async def read_changes(
        self,
        since: str | None,
        *,
        until: str | None = None,
        user_emails: Sequence[str] = (),
        after: str | None = None,
        limit: int,
    ) -> Changes:
        """These users' rows that changed after the cursor `since`, and no later than `until`; since None: where to
        begin. At most `limit` rows; the next page is asked for with `after`, the same `since`, and `until`, which was
        the first page's cursor if it was None. Raises CursorUnknownError, StoreUnavailableError.
        """
        ...
