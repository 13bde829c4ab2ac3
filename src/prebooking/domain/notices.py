"""What users are told, beside what the API answers them: a session that has died, and how each prebooking ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from prebooking.domain.prebooking import Prebooking


class NoticeKind(StrEnum):
    BOOKED = "booked"
    WAITING_LIST = "waiting_list"
    FAILED = "failed"
    SESSION_DEAD = "session_dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Written by the transition that it is about."""

    id: UUID
    kind: NoticeKind
    prebooking: Prebooking  #: as it was then
    created_at: datetime
    failures: int  #: how often QStash gave up on it


class NoticeStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def take_notices(self) -> Sequence[Notice]:
        """Some of what is untold; nobody else gets these for a minute."""
        ...

    async def mark_sent(self, notice_id: UUID, message_id: str) -> None: ...

    async def note_untold(self, message_id: str, reason: str) -> str:
        """QStash gave up on that message: it will be told again. noted, or nothing_to_note."""
        ...


class NotificationSender(Protocol):
    """The way to the users."""

    async def tell(self, notice: Notice) -> str:
        """Orders the notice's delivery; the message's id. A repeat within ten minutes is the same message.

        Raises MessagingError.
        """
        ...
