"""What the use cases need of the outside; the adapters fulfil it, one outside system a file."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from prebooking.domain.classes import MemberBox, TimetabledClass
from prebooking.domain.cookies import Cookie
from prebooking.domain.email_owners import OwnerStore
from prebooking.domain.events import EventStore
from prebooking.domain.notices import NoticeStore
from prebooking.domain.outcome import Reply
from prebooking.domain.prebooking import BookingRequest, Box, Prebooking, Session
from prebooking.domain.sessions import SessionStore
from prebooking.domain.sign_ins import SignInStore


class Clock(Protocol):
    """The host's clocks and its patience."""

    def wall(self) -> float:
        """Epoch seconds: for facts."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start, those of a suspend included: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns at the earliest after so many seconds; those of a suspend may not count."""
        ...


# ---- the database -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one user may want."""

    active: int  #: prebookings that wait or are being booked
    per_minute: int  #: creates, moves and retries within any minute: each orders a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The answer of a transition: what was done, or why it was refused, with the row as it is now."""

    outcome: str
    prebooking: Prebooking | None = None
    retry_after: float = 0.0  #: seconds, where a later try makes sense
    replaced_message_id: str | None = None  #: a message that rings for nothing now
    give_up_at: datetime | None = None
    starts_at: datetime | None = None  #: the class's start, of a begin that it forbids
    limit: int | None = None  #: the one that too_many met; that of the active ones without, the other with retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The exclusive, leased right to execute `prebooking`."""

    prebooking: Prebooking
    now: datetime  #: by the database's clock
    sent_at: float  #: when it was asked for, on the host's monotonic clock: not before a connection was free
    begun: bool  #: an earlier claim may have booked: settle first
    settle_only: bool  #: nothing may be sent any more
    parks: int
    session: Session | None
    give_up_at: datetime
    starts_at: datetime | None = None  #: the class's start, where it is known
    time_zone: str | None = None  #: of the box's wall clock, where it is known
    shots: tuple[dict[str, Any], ...] = ()
    last_outcome: str | None = None
    last_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a claimer shows to have its claim prolonged."""

    prebooking_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscheduled:
    """A row whose version has no message, or one that rings at another address."""

    prebooking: Prebooking
    delivery_failures: int
    readdressed: bool = False  #: it has one, for another address


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the sweep found."""

    now: datetime
    execute: tuple[UUID, ...]
    settle: tuple[UUID, ...]
    publish: tuple[Unscheduled, ...]
    next_at: datetime | None
    busy: bool  #: a row is executing, or opens within 10 s
    sent_at: float  #: as a claim's


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a listing goes on: before this row, newest first."""

    created_at: datetime
    id: UUID


class Store(SessionStore, SignInStore, EventStore, NoticeStore, OwnerStore, Protocol):
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
        key: UUID | None = None,
    ) -> Transition:
        """`at` None: it opens now. `starts_at`, `time_zone`: the class's start and the box's zone, where known.

        `key`: of the request; with one that was used before it is answered as then, or key_reused.
        """
        ...

    async def attach_message(
        self, prebooking_id: UUID, version: int, message_id: str, *, address: str | None = None
    ) -> Transition:
        """`address`: what the message was ordered for; None: unknown."""
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
    async def renew(self, held: Sequence[Held], *, lease_s: float) -> Mapping[UUID, Transition]:
        """Prolongs claims that have not begun. By token, those that are lost: cancelled, taken over, ended, deleted."""
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
    ) -> Transition:
        """`starts_at`: the class's start as it was learnt now; the row keeps it."""
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
    ) -> Work:
        """`address`: where messages are to ring; at most `per_minute` of a user's are ordered anew for it."""
        ...

    async def remove_old(self, *, days: int) -> tuple[int, bool]:
        """Removes some of what ended so long ago; how many, and whether there are more."""
        ...

    async def note_ping(self, ping_id: UUID) -> None:
        """A message of `prebooking doctor` has arrived."""
        ...

    async def check(self) -> None:
        """Whether the database and its functions are there."""
        ...


# ---- QStash -----------------------------------------------------------------------------------------------------


class Messages(Protocol):
    """The doorbells. All methods raise MessagingError, within two seconds."""

    async def publish(self, prebooking: Prebooking, *, delivery_failures: int = 0) -> str:
        """Orders the message of this row's version; its id. A repeat within ten minutes is the same message."""
        ...

    async def delete(self, message_id: str) -> None:
        """Takes a message back. One that is gone already is fine."""
        ...

    async def schedule_sweep(self, every_minutes: int) -> str:
        """Has the sweep called at minutes that the number divides; the schedule's id. A repeat changes it."""
        ...


# ---- AimHarder --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListedClass:
    """A class as the user sees it in the box's listing."""

    book_state: int | None  #: 1 booked, 0 on the waiting list, None neither, or not known
    reservation_id: str | None
    cancelled: bool
    hour: str | None = None  #: of its start, HH:MM on the box's wall clock; None where the box doesn't tell
    standing_known: bool = True  #: whether the row tells how the user stands


class Listing(dict[str, ListedClass]):
    """A day's classes by their ids. `complete`: a class that is not here is not listed; else its row may be one that
    could not be read.
    """

    def __init__(self, classes: Mapping[str, ListedClass] | None = None, *, complete: bool = True) -> None:
        super().__init__(classes or {})
        self.complete = complete


@dataclass(frozen=True, slots=True)
class NewTokens:
    """What a refresh gives: token and cookies belong together. Secrets."""

    token: str = field(repr=False)
    cookies: tuple[Cookie, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a login gives, besides cookies."""

    token: str = field(repr=False)
    boxes: tuple[MemberBox, ...] = ()


class HeldRequest(Protocol):
    """A booking request, whole, held on its open connection until the gate lets it go."""

    async def ready(self) -> None:
        """Returns when only the write is left; raises BoxSilentError when there is no connection."""
        ...

    async def lost(self) -> float:
        """Returns when its connection has ended before it was let go: how many seconds that had been idle."""
        ...

    def fire(self) -> None:
        """Writes it, here and now."""
        ...

    @property
    def fired_at(self) -> float | None:
        """Epoch seconds of the write, by the opening's clock; None if it never left."""
        ...

    async def reply(self, *, within_s: float) -> Reply: ...

    async def aclose(self) -> None: ...


class Account(Protocol):
    """One user at the account host, with connections and cookies of its own. The questions raise BoxSilentError."""

    async def whoami(self) -> bool:
        """Whether the session is alive."""
        ...

    async def boxes(self) -> Sequence[MemberBox] | None:
        """The user's boxes; None when the session is dead."""
        ...

    async def login(self, email: str, password: str, fingerprint: str) -> LoggedIn:
        """It waits for the answer as long as its caller does.

        Raises WrongCredentialsError, AccountLockedError, NotSentError when the request surely did not leave, else
        BoxSilentError.
        """
        ...

    async def enter(self, token: str, fingerprint: str, box: Box | None) -> str:
        """What follows a login, so that the boxes know of it, as if on the way to `box`; the token from now on."""
        ...

    async def refresh(self, token: str, fingerprint: str) -> NewTokens | None:
        """Rotates the session's token; None when that is refused. It waits for the answer as long as its caller does.

        Raises NotSentError when the request surely did not leave, else BoxSilentError.
        """
        ...

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """As AimHarder has last set them."""
        ...

    def use(self, cookies: Sequence[Cookie]) -> None:
        """Goes on with another session of the same user."""
        ...


class Gym(Account, Protocol):
    """The same user at one box."""

    async def listing(self, day: str, family_id: str) -> Listing: ...

    async def timetable(self, day: str) -> Sequence[TimetabledClass]:
        """The day's classes in full, for people. Raises BoxSilentError."""
        ...

    def hold(self, request: BookingRequest) -> HeldRequest: ...


class Gyms(Protocol):
    """Opens gyms."""

    def visit(self, box: Box, session: Session) -> AbstractAsyncContextManager[Gym]: ...

    def account(self, cookies: Sequence[Cookie]) -> AbstractAsyncContextManager[Account]: ...
