"""The database: the users' AimHarder sessions, and their sign-ins to AimHarder."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionAnswer, SessionCheck, SessionState, StoredSession
from prebooking.domain.sign_ins import Admission, NewSession, SignInLease, StoredSignIn


class SessionStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def lease_session(self, user_email: str, token: str, lease: UUID, *, lease_s: float) -> SessionAnswer:
        """The right to refresh the user's session for `lease_s` seconds. `token`: as stored when it was read."""
        ...

    async def save_session(
        self,
        session: Session,
        lease: UUID,
        *,
        token: str | None = None,
        cookies: Sequence[Cookie] | None = None,
        error: str | None = None,
    ) -> SessionAnswer:
        """Compare-and-set on `session.stored_token`; `error` in place of `token`: the refresh failed."""
        ...

    async def take_session_looks(self) -> Sequence[SessionCheck]:
        """Some of the sessions to look at now; nobody else gets these for a minute."""
        ...

    async def note_session_look(
        self, prebooking_ids: Sequence[UUID], *, alive: bool, session: str, message: str, reason: str | None = None
    ) -> None:
        """`session` tells this one from others, and is no secret; `message` and `reason` are of the warning where it is
        dead.
        """
        ...

    async def admit_check(self, user_email: str, token: UUID, *, max_per_minute: int) -> float:
        """Seconds until AimHarder may be asked about the user's session: 0 is now, and counts. `token`: of this ask."""
        ...

    async def connect_session(
        self,
        user_email: str,
        *,
        token: str,
        cookies: Sequence[Cookie],
        fingerprint: str,
        box_domains: Mapping[str, Domain],
    ) -> SessionState:
        """Makes it the user's one background session, in place of an earlier one."""
        ...

    async def read_session(self, user_email: str) -> StoredSession | None:
        """The one that an execution would take."""
        ...

    async def note_box_domains(self, session_id: UUID, domains: Mapping[str, Domain]) -> None:
        """Keeps with the session which boxes of its member are not under aimharder.com."""
        ...

    async def disconnect_session(self, user_email: str) -> None:
        """Forgets the background session, if there is one."""
        ...


class SignInStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def admit_sign_in(self, user_email: str, account_email: str, token: UUID, *, fingerprint: str) -> Admission:
        """Counts the try, for the user and for the account. `token`: of this try; `fingerprint`: if there is none."""
        ...

    async def store_sign_in(self, user_email: str, ticket: int, new: NewSession) -> StoredSignIn:
        """Makes it the user's one background session, unless what began later, or a disconnect, came before."""
        ...

    async def lease_sign_in(
        self, user_email: str, token: str | None, lease: UUID, attempt: UUID, *, lease_s: float
    ) -> SignInLease:
        """The right to sign in again with the remembered password, within an allowance of its own.

        `token`: the session's as it was stored when it was read; None: nobody could read it.
        """
        ...

    async def save_sign_in_again(
        self, user_email: str, generation: int, lease: UUID, *, token: str, cookies: tuple[Cookie, ...]
    ) -> SessionAnswer:
        """Stores what it came to, unless account or session are others by now; the session that the user then has."""
        ...

    async def end_sign_in_again(self, user_email: str, generation: int, lease: UUID, *, refused: bool) -> SessionAnswer:
        """It came to nothing. `refused`: as a wrong password, which is forgotten; superseded, with the session that the
        user has by now, where it is another one's.
        """
        ...
