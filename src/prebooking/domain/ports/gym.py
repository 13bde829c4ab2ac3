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
    """A booking request, whole, held on its open connection until the gate lets it go."""

    async def ready(self) -> None:
        """Returns when only the write is left; raises BoxSilentError when there is no connection."""
        ...

    async def lost(self) -> float:
        """Returns when its connection has ended before it was let go: how many seconds that had been idle."""
        ...

    def aim(self, class_id: str) -> None:
        """Has it book this class, in place of the one that it was held for."""
        ...

    def fire(self) -> None:
        """Writes it, here and now."""
        ...

    def warm(self) -> None:
        """Reads what `fire` will read, so that the processor has it in its caches then. Nothing leaves."""
        ...

    @property
    def fired_at(self) -> float | None:
        """Epoch seconds of the write, by the opening's clock; None if it never left."""
        ...

    async def reply(self, *, within_s: float) -> Reply: ...

    async def aclose(self) -> None: ...


class MemberAccount(Protocol):
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


class Gym(MemberAccount, Protocol):
    """The same user at one box."""

    async def listing(self, day: str, family_id: str) -> Listing: ...

    async def timetable(self, day: str) -> Sequence[TimetabledClass]:
        """The day's classes in full, for people. Raises BoxSilentError."""
        ...

    def hold(self, request: BookingRequest) -> HeldRequest: ...

    async def give_back(self, reservation_id: str, family_id: str, *, late: bool) -> CancelReply:
        """Gives a place back. `late`: also where that costs the credit. It waits as long as its caller does.

        Raises NotSentError when the request surely did not leave, else BoxSilentError.
        """
        ...


class Gyms(Protocol):
    """Opens gyms."""

    def visit(self, box: Box, session: Session) -> AbstractAsyncContextManager[Gym]: ...

    def account(self, cookies: Sequence[Cookie]) -> AbstractAsyncContextManager[MemberAccount]: ...
