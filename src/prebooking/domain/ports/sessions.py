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
        """Leases the right to refresh the user's session. `token`: as stored when it was read."""
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
        """Stores a refreshed session, by compare-and-set on `session.stored_token`.

        `error` instead of `token`: it failed.
        """
        ...

    async def take_session_looks(self) -> Sequence[SessionCheck]:
        """Returns some of the sessions whose check is due. No other caller gets them for a minute."""
        ...

    async def note_session_look(
        self, prebooking_ids: Sequence[UUID], *, alive: bool, session: str, message: str, reason: str | None = None
    ) -> None:
        """Records the result of a check. `session`: identifies it, and is no secret.

        `message` and `reason`: those of the warning, if it is dead.
        """
        ...

    async def admit_check(self, user_email: str, token: UUID, *, max_per_minute: int) -> float:
        """Returns the seconds until AimHarder may be asked about the user's session; 0: now, which counts as a request.

        `token`: identifies the request.
        """
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
        """Stores the user's background session, in place of an earlier one."""
        ...

    async def read_session(self, user_email: str) -> StoredSession | None:
        """Returns the session that an execution would use."""
        ...

    async def note_box_domains(self, session_id: UUID, domains: Mapping[str, Domain]) -> None:
        """Stores with the session which of its member's boxes are not under aimharder.com."""
        ...

    async def disconnect_session(self, user_email: str) -> None:
        """Deletes the background session, if there is one."""
        ...


class SignInStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def admit_sign_in(self, user_email: str, account_email: str, token: UUID, *, fingerprint: str) -> Admission:
        """Counts the attempt, for the user and for the account.

        `token`: identifies the attempt. `fingerprint`: for a user who has none yet.
        """
        ...

    async def store_sign_in(self, user_email: str, ticket: int, new: NewSession) -> StoredSignIn:
        """Stores the user's background session, unless a later sign-in or a disconnect was stored before."""
        ...

    async def lease_sign_in(
        self, user_email: str, token: str | None, lease: UUID, attempt: UUID, *, lease_s: float
    ) -> SignInLease:
        """Leases the right to sign in again with the remembered password. It has a rate limit of its own.

        `token`: the session's, as stored when it was read; None: it could not be read.
        """
        ...

    async def save_sign_in_again(
        self, user_email: str, generation: int, lease: UUID, *, token: str, cookies: tuple[Cookie, ...]
    ) -> SessionAnswer:
        """Stores the new session, unless account or session were replaced since. Returns the user's current session."""
        ...

    async def end_sign_in_again(self, user_email: str, generation: int, lease: UUID, *, refused: bool) -> SessionAnswer:
        """Ends a sign-in that failed. `refused`: the password was wrong, so it is deleted.

        SUPERSEDED, with the user's current session, if another caller holds the lease.
        """
        ...
