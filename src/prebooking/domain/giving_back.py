"""Giving the place of a completed prebooking back."""

from dataclasses import dataclass
from enum import StrEnum

from prebooking.domain.prebooking import Prebooking, Session
from prebooking.domain.store_outcomes import StoreOutcome


class Cancellation(StrEnum):
    """The gym's answer to the request that gives a place back."""

    DONE = "done"
    LATE = "late"  #: it would cost the credit: nothing was done
    REFUSED = "refused"
    LOGGED_OUT = "logged_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReply:
    kind: Cancellation
    gym_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingBack:
    """The right to ask the gym (LEASED), or why there is none: GIVEN_BACK (already), NOT_BOOKED, BUSY, NOT_FOUND."""

    outcome: StoreOutcome
    prebooking: Prebooking | None = None
    session: Session | None = None
    absence_is_conclusive: bool = False  #: whether a listing without the user proves that the place is gone
    earlier: bool = False  #: another caller had the right before, and the result of its request is not known
    retry_after: float = 0.0  #: seconds
