"""The database: what users want every week."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prebooking.domain.series import Series, SeriesAnswer, WeeklyClass
from prebooking.domain.series_days import SeriesDay


class SeriesStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def create_series(self, series_id: UUID, user_email: str, weekly: WeeklyClass, *, most: int) -> SeriesAnswer:
        """Outcome: created, existing (all fields equal), too_many."""
        ...

    async def list_series(self, user_email: str, *, series_id: UUID | None = None) -> Sequence[Series]:
        """The oldest first."""
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
        """`read`: the series as the caller read it; `cancel`: prebookings of it that no longer fit.

        Outcome: changed, stale (it is another by now), not_found, too_many.
        """
        ...

    async def end_series(self, series_id: UUID, user_email: str, *, keep: bool) -> SeriesAnswer:
        """`keep`: what waits stays, as ordinary prebookings. Outcome: ended, not_found."""
        ...

    async def fill_series(
        self, read: Series, days: Mapping[UUID, SeriesDay], *, max_active: int, look_at: datetime | None
    ) -> SeriesAnswer:
        """Makes these days, by the ids of their prebookings. `look_at`: when there is another to make; None: never.

        Outcome: filled, stale, not_found.
        """
        ...

    async def take_series(self) -> Sequence[Series]:
        """Some that have a day to make; nobody else gets these for a minute. One that can't be read is left out."""
        ...
