"""The claim of one execution on its prebooking."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prebooking.domain.class_match import BegunClass
from prebooking.domain.outcome import Ending, Outcome
from prebooking.domain.prebooking import Prebooking, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The exclusive, leased right to execute `prebooking`."""

    prebooking: Prebooking
    now: datetime  #: by the database's clock
    sent_at: float  #: when the call was sent, on the host's monotonic clock
    begun: bool  #: an earlier claim has begun, so it has to be settled first
    settle_only: bool  #: no request may be sent any more
    parks: int
    session: Session | None
    give_up_at: datetime
    starts_at: datetime | None = None  #: the class's start, where it is known
    time_zone: str | None = None  #: that of the box, if known
    begun_as: BegunClass | None = None  #: by the last begin
    shots: tuple[dict[str, Any], ...] = ()
    last_outcome: str | None = None
    last_message: str | None = None

    def last_reason(self, *, otherwise: Outcome = Outcome.ATTEMPTS_EXHAUSTED) -> Ending:
        """Returns why earlier attempts did not book it, if known; else `otherwise`."""
        if otherwise is Outcome.ATTEMPTS_EXHAUSTED and self.last_outcome:
            return Ending(Outcome(self.last_outcome), sentence=self.last_message)
        return Ending(otherwise, self.last_message or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimKey:
    """A claim to be renewed, with the token that proves it."""

    prebooking_id: UUID
    token: UUID
