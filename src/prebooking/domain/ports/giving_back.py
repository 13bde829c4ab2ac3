"""The database: cancellations of booked places at the gym."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from prebooking.domain.giving_back import GivingBack
from prebooking.domain.transitions import Transition


class GivingBackStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def begin_giving_back(
        self, prebooking_id: UUID, user_email: str, token: UUID, *, lease_s: float
    ) -> GivingBack:
        """Records the intent, and leases the right to send the cancellation to one caller at a time."""
        ...

    async def end_giving_back(self, prebooking_id: UUID, token: UUID, *, given_back: bool | None) -> Transition:
        """Ends the lease. `given_back`: whether the place is gone; None: unknown, so it is settled later."""
        ...

    async def take_given_back(self, token: UUID, *, lease_s: float) -> Sequence[GivingBack]:
        """Returns some unfinished ones. No other caller gets them for `lease_s` seconds."""
        ...
