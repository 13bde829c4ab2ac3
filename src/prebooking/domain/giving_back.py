"""Giving back the place of a completed prebooking."""

from dataclasses import dataclass
from enum import StrEnum

from prebooking.domain.prebooking import Prebooking, Session
from prebooking.domain.store_outcomes import StoreOutcome


class Cancellation(StrEnum):
    """The gym's answer to the request that gives a place back."""

    DONE = "done"
    LATE = "late"  #: not cancelled: it would cost the credit
    REFUSED = "refused"
    LOGGED_OUT = "logged_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReply:
    kind: Cancellation
    gym_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingBack:
    """The right to send the cancellation (LEASED), or why not: GIVEN_BACK (already), NOT_BOOKED, BUSY, NOT_FOUND."""

    outcome: StoreOutcome
    prebooking: Prebooking | None = None
    session: Session | None = None
    absence_is_conclusive: bool = False  #: whether a listing without the user proves that the place is gone
    earlier: bool = False  #: another caller had the right before, and the result of its request is unknown
    retry_after: float = 0.0  #: seconds
