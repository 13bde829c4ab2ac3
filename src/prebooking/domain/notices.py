"""The notices to users, beside the responses of the API: a dead session, and how each prebooking ended."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from prebooking.domain.prebooking import Prebooking

Language = Literal["en", "es", "ca"]


class NoticeKind(StrEnum):
    BOOKED = "booked"
    WAITING_LIST = "waiting_list"
    FAILED = "failed"
    SESSION_DEAD = "session_dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Written in the transaction of the change that it reports."""

    id: UUID
    kind: NoticeKind
    prebooking: Prebooking  #: as it was then
    created_at: datetime
    failures: int  #: how often QStash gave up on it
