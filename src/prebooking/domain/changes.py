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


class ChangeStore(Protocol):
    async def read_changes(
        self, since: str | None, *, until: str | None = None, user_emails: Sequence[str] = ()
    ) -> Changes:
        """These users' rows that changed after the cursor `since`, and no later than `until`; since None: where to
        begin. Raises CursorUnknownError, StoreUnavailableError.
        """
        ...
