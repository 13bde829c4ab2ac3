"""The database: the users' series."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prebooking.domain.series import Series, SeriesAnswer, WeeklyClass
from prebooking.domain.series_days import SeriesDay


class SeriesStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def create_series(self, series_id: UUID, user_email: str, weekly: WeeklyClass, *, most: int) -> SeriesAnswer:
        """Outcomes: created, existing (all fields equal), too_many."""
        ...

    async def list_series(self, user_email: str, *, series_id: UUID | None = None) -> Sequence[Series]:
        """Returns the user's series, the oldest first."""
        ...

    async def change_series(
        self,
        read: Series,
        *,
        weekly: WeeklyClass,
        paused: bool,
        skip: Sequence[str],
        cancel: Sequence[UUID],
        max_active: int,
    ) -> SeriesAnswer:
        """Outcomes: changed, stale (changed by another caller since), not_found, too_many.

        `read`: the series as the caller read it. `cancel`: its prebookings that no longer fit.
        """
        ...

    async def end_series(self, series_id: UUID, user_email: str, *, keep: bool) -> SeriesAnswer:
        """Outcomes: ended, not_found. `keep`: pending prebookings stay, as ordinary ones."""
        ...

    async def fill_series(
        self, read: Series, days: Mapping[UUID, SeriesDay], *, max_active: int, look_at: datetime | None
    ) -> SeriesAnswer:
        """Creates the prebookings of those days that have none. Outcomes: filled, stale, not_found.

        `look_at`: when the next day becomes due; None: never.
        """
        ...

    async def take_series(self) -> Sequence[Series]:
        """Returns some series with a due day. No other caller gets them for a minute. Unreadable ones are left out."""
        ...
