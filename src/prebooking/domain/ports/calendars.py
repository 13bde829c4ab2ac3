"""The database: the users' calendars; and the format in which one is written."""

from collections.abc import Sequence
from typing import Protocol

from prebooking.domain.calendars import CalendarEntry


class CalendarStore(Protocol):
    """A user has one calendar at most. Its secret is stored as a hash only."""

    async def make_calendar(self, user_email: str, secret_hash: str, *, sub: str | None) -> bool:
        """Replaces the user's calendar. `sub`: the account that asks; None: a trusted server.

        Returns False if the e-mail address is not that account's any more.
        """
        ...

    async def end_calendar(self, user_email: str) -> None: ...

    async def read_calendar(self, secret_hash: str) -> Sequence[CalendarEntry] | None:
        """Returns the newest entries, a limited number of them, or None if there is no such calendar."""
        ...


class CalendarFormat(Protocol):
    """Writes a calendar as a file, in parts: together they take long, and other work must not wait for it."""

    @property
    def head(self) -> bytes: ...

    @property
    def end(self) -> bytes: ...

    def event(self, entry: CalendarEntry) -> bytes:
        """Returns the entry as an event; empty if nobody knows its day."""
        ...
