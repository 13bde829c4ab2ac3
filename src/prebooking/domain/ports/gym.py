"""AimHarder: a user's account, the boxes, and a booking request that is held until its opening."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from prebooking.domain.classes import Listing, MemberBox, TimetabledClass
from prebooking.domain.cookies import Cookie
from prebooking.domain.giving_back import CancelReply
from prebooking.domain.outcome import Reply
from prebooking.domain.prebooking import BookingRequest, Box, Session
from prebooking.domain.sessions import NewTokens
from prebooking.domain.sign_ins import LoggedIn


class HeldRequest(Protocol):
    """A complete booking request, held on its open connection until the gate fires it."""

    async def ready(self) -> None:
        """Returns when only the write is left. Raises BoxSilentError if there is no connection."""
        ...

    async def lost(self) -> float:
        """Waits until its connection ends before it was fired.

        Returns for how many seconds the connection had been idle.
        """
        ...

    def aim(self, class_id: str) -> None:
        """Changes the class that it books."""
        ...

    def fire(self) -> None:
        """Writes it, without awaiting anything."""
        ...

    def warm(self) -> None:
        """Reads the data that `fire` will read, to keep it in the processor's caches. Sends nothing."""
        ...

    @property
    def fired_at(self) -> float | None:
        """The time of the write in epoch seconds, by the opening's clock; None: it was not sent."""
        ...

    async def reply(self, *, within_s: float) -> Reply: ...

    async def aclose(self) -> None: ...


class MemberAccount(Protocol):
    """A member at AimHarder's account host, with connections and cookies of its own. Requests raise BoxSilentError."""

    async def whoami(self) -> bool:
        """Returns whether the session is alive."""
        ...

    async def boxes(self) -> Sequence[MemberBox] | None:
        """Returns the member's boxes, or None if the session is dead."""
        ...

    async def login(self, email: str, password: str, fingerprint: str) -> LoggedIn:
        """Signs in. It has no time limit of its own.

        Raises WrongCredentialsError, AccountLockedError, NotSentError if the request was certainly not sent, else
        BoxSilentError.
        """
        ...

    async def enter(self, token: str, fingerprint: str, box: Box | None) -> str:
        """Completes a login, so that the boxes know of the session, as if on the way to `box`.

        Returns the token that the page hands to a browser; `token` if it names none.
        """
        ...

    async def refresh(self, token: str, fingerprint: str) -> NewTokens | None:
        """Refreshes the session. Returns its new secrets, or None if it is refused. It has no time limit of its own.

        Raises NotSentError if the request was certainly not sent, else BoxSilentError.
        """
        ...

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The cookies, as AimHarder has last set them."""
        ...

    def use(self, cookies: Sequence[Cookie]) -> None:
        """Replaces the session by another one of the same member."""
        ...


class Gym(MemberAccount, Protocol):
    """A member at one box."""

    async def listing(self, day: str, family_id: str) -> Listing: ...

    async def timetable(self, day: str) -> Sequence[TimetabledClass]:
        """Returns the day's classes with all details. Raises BoxSilentError."""
        ...

    def hold(self, request: BookingRequest) -> HeldRequest: ...

    async def give_back(self, reservation_id: str, family_id: str, *, late: bool) -> CancelReply:
        """Gives a place back. `late`: even if that costs the credit. It has no time limit of its own.

        Raises NotSentError if the request was certainly not sent, else BoxSilentError.
        """
        ...


class Gyms(Protocol):
    """Opens clients for gyms and account hosts."""

    def visit(self, box: Box, session: Session) -> AbstractAsyncContextManager[Gym]: ...

    def account(self, cookies: Sequence[Cookie]) -> AbstractAsyncContextManager[MemberAccount]: ...
