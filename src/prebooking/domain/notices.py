"""The notices to users, beside the responses of the API: a dead session, how each prebooking ended, and what there was
no room for in a series.
"""

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
    """Written in the transaction of the change that it reports."""

    id: UUID
    kind: NoticeKind
    prebooking: Prebooking | None = None  #: as it was then
    series: UnmadeDays | None = None  #: where there is no prebooking to tell of
    next: Prebooking | None = None  #: what its series books next
    created_at: datetime
    failures: int  #: how often QStash gave up on it

    @property
    def subject(self) -> str:
        """The id of what it is about, for the log."""
        return str((self.prebooking or self.series or self).id)
