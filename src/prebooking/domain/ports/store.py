"""The database: the prebookings, and the data of their users."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from prebooking.domain.changes import Changes
from prebooking.domain.claims import Claim, ClaimKey
from prebooking.domain.email_owners import Ownership
from prebooking.domain.history import HistoryEvent
from prebooking.domain.notices import Notice
from prebooking.domain.ports.calendars import CalendarStore
from prebooking.domain.ports.giving_back import GivingBackStore
from prebooking.domain.ports.series import SeriesStore
from prebooking.domain.ports.sessions import SessionStore, SignInStore
from prebooking.domain.prebooking import Box, Page, Prebooking
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.sweep_result import SweepResult
from prebooking.domain.transitions import Limits, Transition
from prebooking.domain.wished_class import WishedClass


class EventStore(Protocol):
    async def read_changes(
        self,
        since: str | None,
        *,
        until: str | None = None,
        user_emails: Sequence[str] = (),
        after: str | None = None,
        limit: int,
    ) -> Changes:
        """Returns the rows of these users that changed after the cursor `since`, and no later than `until`.

        `since` None: returns only the current cursor. At most `limit` rows; the next page needs the same `since`, the
        first page's cursor as `until`, and its `next_page` as `after`.

        Raises CursorUnknownError, StoreUnavailableError.
        """
        ...


class NoticeStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def take_notices(self) -> Sequence[Notice]:
        """Takes some of the unsent notices; no other caller gets them for a minute."""
        ...

    async def mark_sent(self, notice_id: UUID, message_id: str) -> None: ...

    async def note_notice_failure(self, message_id: str, reason: str) -> StoreOutcome:
        """Records that QStash gave up on the message: the notice is sent again. Outcomes: NOTED, NOTHING_TO_NOTE."""
        ...


class OwnerStore(Protocol):
    async def own_email(self, sub: str, email: str, issued_at: datetime | None) -> Ownership:
        """Returns who owns the e-mail address.

        A free one becomes this account's, with the data of its earlier address.
        """
        ...


class HistoryStore(Protocol):
    async def read_history(self, prebooking_id: UUID, user_email: str) -> Sequence[HistoryEvent] | None:
        """Returns the events, the oldest first; None: the user has no such prebooking. Raises StoreUnavailableError."""
        ...


class Store(
    SessionStore,
    SignInStore,
    EventStore,
    NoticeStore,
    OwnerStore,
    CalendarStore,
    HistoryStore,
    GivingBackStore,
    SeriesStore,
    Protocol,
):
    """The rows. Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def create(
        self,
        prebooking_id: UUID,
        user_email: str,
        box: Box,
        data: Mapping[str, Any],
        at: datetime | None,
        *,
        limits: Limits,
        starts_at: datetime | None = None,
        time_zone: str | None = None,
        wished: WishedClass | None = None,
        key: UUID | None = None,
    ) -> Transition:
        """Creates a prebooking. `at` None: it opens now.

        `starts_at`, `time_zone`: the class's start and the box's zone, if known. `wished`: the class by its hour and
        name, beside the id in `data` or instead of it. `key`: that of the request; a used one returns the first
        outcome, or KEY_REUSED.
        """
        ...

    async def attach_message(
        self, prebooking_id: UUID, version: int, message_id: str, *, address: str | None = None
    ) -> Transition:
        """Notes the message on the row. `address`: where it is delivered; None: unknown."""
        ...

    async def cancel(self, prebooking_id: UUID, user_email: str) -> Transition: ...
    async def reschedule(self, prebooking_id: UUID, user_email: str, at: datetime, *, limits: Limits) -> Transition: ...
    async def retry(
        self,
        prebooking_id: UUID,
        user_email: str,
        token: UUID,
        at: datetime | None,
        *,
        limits: Limits,
        key: UUID | None = None,
    ) -> Transition: ...
    async def note_delivery_failure(self, prebooking_id: UUID, version: int, reason: str) -> Transition: ...
    async def list(
        self,
        user_email: str,
        *,
        prebooking_id: UUID | None = None,
        status: str | None = None,
        box_subdomain: str | None = None,
        limit: int = 1,
        before: Page | None = None,
    ) -> Sequence[Prebooking]: ...

    async def claim(
        self,
        prebooking_id: UUID,
        token: UUID,
        version: int | None,
        *,
        horizon_s: float,
        max_attempts: int,
        lease_s: float,
    ) -> Claim | Transition: ...
    async def renew(self, keys: Sequence[ClaimKey], *, lease_s: float) -> Mapping[UUID, Transition]:
        """Renews claims that have not begun. Returns the lost ones by token: cancelled, taken over, ended, deleted."""
        ...

    async def begin(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        lease_s: float,
        max_attempts: int,
        settled: bool,
        starts_at: datetime | None = None,
        book_until_minutes: float = 0.0,
        learnt: Mapping[str, Any],
        absent: bool = False,
    ) -> Transition:
        """Records that the request may be sent.

        `starts_at`: the class's start by the listing, which the row keeps. `learnt`: see Target.learnt. `absent`: the
        gym's listing has the class, without the user. HELD: another of the user's prebookings may be booking the same
        class, so the row waits for it.
        """
        ...

    async def finish(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        success: bool,
        outcome: str,
        message: str,
        result: Mapping[str, Any],
    ) -> Transition: ...
    async def release(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        outcome: str | None,
        message: str | None,
        shots: Sequence[Mapping[str, Any]],
        retry_s: float,
        graceful: bool,
        settled: bool,
    ) -> Transition: ...
    async def park(
        self,
        prebooking_id: UUID,
        token: UUID,
        *,
        outcome: str | None,
        message: str | None,
        shots: Sequence[Mapping[str, Any]],
        retry_s: float | None,
    ) -> Transition: ...

    async def sweep(
        self, *, lead_s: float, max_delay_s: float, address: str | None = None, per_minute: int | None = None
    ) -> SweepResult:
        """Returns the rows that need something. `address`: where messages are to be delivered.

        At most `per_minute` messages of a user are scheduled again for a changed address.
        """
        ...

    async def remove_old(self, *, days: int) -> tuple[int, bool]:
        """Deletes some of the rows that ended so long ago. Returns how many, and whether there are more."""
        ...

    async def note_ping(self, ping_id: UUID) -> None:
        """Records that a test message of `prebooking doctor` has arrived."""
        ...

    async def check(self) -> None:
        """Raises unless the database and its functions are available."""
        ...
