"""The database: the users' calendars. Also the file format of a calendar."""

from collections.abc import Sequence
from typing import Protocol

from prebooking.domain.calendars import CalendarEntry


class CalendarStore(Protocol):
    """Stores calendars. A user has at most one, whose secret is stored only as a hash."""

    async def make_calendar(self, user_email: str, secret_hash: str, *, sub: str | None) -> bool:
        """Replaces the user's calendar. Returns False if the account does not own the e-mail address any more.

        `sub`: the account of the caller; None: a trusted server.
        """
        ...

    async def end_calendar(self, user_email: str) -> None: ...

    async def read_calendar(self, secret_hash: str) -> Sequence[CalendarEntry] | None:
        """Returns the newest entries, a limited number of them, or None if there is no such calendar."""
        ...


class CalendarFormat(Protocol):
    """Writes a calendar as a file, in parts: as one piece it would take too long and delay other work."""

    @property
    def head(self) -> bytes: ...

    @property
    def end(self) -> bytes: ...

    def event(self, entry: CalendarEntry) -> bytes:
        """Returns the entry as an event; empty if its day is unknown."""
        ...
