"""Notices to users: a dead session, the end of each prebooking, and days of a series that could not be prebooked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from prebooking.domain.prebooking import Prebooking
from prebooking.domain.series import WeeklyClass

Language = Literal["en", "es", "ca"]


class NoticeKind(StrEnum):
    BOOKED = "booked"
    WAITING_LIST = "waiting_list"
    FAILED = "failed"
    SESSION_DEAD = "session_dead"
    NOT_MADE = "not_made"  #: days of a series are due, and have no prebooking


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmadeDays:
    """A series, and why some of its days have no prebooking."""

    id: UUID
    user_email: str
    weekly: WeeklyClass
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice, which the database writes in the transaction of the change that it reports."""

    id: UUID
    kind: NoticeKind
    prebooking: Prebooking | None = None  #: its state at that time
    series: UnmadeDays | None = None  #: if the notice is not about a prebooking
    next: Prebooking | None = None  #: the next prebooking of its series
    created_at: datetime
    failures: int  #: how often QStash gave up on it

    @property
    def subject(self) -> str:
        """The id of its subject, for the log."""
        return str((self.prebooking or self.series or self).id)
