"""What a transition of a prebooking is asked with, and what it comes to."""

from dataclasses import dataclass
from datetime import datetime

from prebooking.domain.outcome import Outcome
from prebooking.domain.prebooking import Prebooking
from prebooking.domain.store_outcomes import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one user may want."""

    active: int  #: prebookings that wait or are being booked
    per_minute: int  #: creates, moves and retries within any minute: each schedules a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The answer of a transition: what was done, or why it was refused, with the row as it is now."""

    outcome: StoreOutcome | Outcome  #: the latter of a claim that ended the row: why earlier attempts failed
    prebooking: Prebooking | None = None
    retry_after: float = 0.0  #: seconds, where a later try makes sense
    replaced_message_id: str | None = None  #: a message that is of no use now
    give_up_at: datetime | None = None
    starts_at: datetime | None = None  #: the class's start, of a begin that it forbids
    limit: int | None = None  #: the one that too_many met; that of the active ones without, the other with retry_after
