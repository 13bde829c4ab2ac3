"""The limits and the result of a transition: a change of a row by one SQL function."""

from dataclasses import dataclass
from datetime import datetime

from prebooking.domain.outcome import Outcome
from prebooking.domain.prebooking import Prebooking
from prebooking.domain.store_outcomes import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one user."""

    active: int  #: pending and executing prebookings
    per_minute: int  #: creates, moves and retries within any minute: each schedules a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The result of a transition: what was done, or why it was refused, with the current row."""

    outcome: StoreOutcome | Outcome  #: an Outcome if a claim ended the row: why earlier attempts failed
    prebooking: Prebooking | None = None
    retry_after: float = 0.0  #: seconds, if a later try makes sense
    replaced_message_id: str | None = None  #: a message to be deleted
    give_up_at: datetime | None = None
    starts_at: datetime | None = None  #: the class's start, if a begin was refused for it
    limit: int | None = None  #: the limit that was reached: per minute if there is retry_after, else of active ones
