"""The entries of a user's calendar, which calendar programs read at its secret address."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from prebooking.domain.outcome import Outcome
from prebooking.domain.prebooking import Status


class EventStatus(StrEnum):
    """The status of an event, as RFC 5545 has it."""

    CONFIRMED = "CONFIRMED"
    TENTATIVE = "TENTATIVE"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """The part of a prebooking that a calendar shows. Unknown fields are None."""

    id: UUID
    status: Status
    outcome: str | None
    given_back: bool
    day: str | None  #: YYYYMMDD, in the gym's own calendar
    starts_at: datetime | None
    minutes: int | None  #: the length of the class
    opens_at: datetime | None
    time_zone: str | None
    name: str | None
    gym: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def event_status(self) -> EventStatus:
        if self.given_back or self.status is Status.CANCELLED:
            return EventStatus.CANCELLED
        if self.status is Status.COMPLETED and self.outcome != Outcome.WAITING_LIST:
            return EventStatus.CONFIRMED
        return EventStatus.TENTATIVE

    @property
    def is_open(self) -> bool:
        """Whether it is pending or executing."""
        return self.status in (Status.PENDING, Status.EXECUTING)
