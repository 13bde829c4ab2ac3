"""Signing in to AimHarder by e-mail and password, as the database counts and keeps it."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from prebooking.domain.sessions import SessionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The right to try once. `ticket` is None where there were too many tries."""

    ticket: int | None = None  #: rises from try to try of a user: the newest that comes to something counts
    fingerprint: str = field(default="", repr=False)  #: by which AimHarder knows all sign-ins for this user
    retry_after: float = 0.0  #: seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a sign-in has come to, as it is stored. Secrets."""

    account_email: str
    token: str = field(repr=False)
    cookies: tuple[tuple[str, str], ...] = field(repr=False)
    fingerprint: str = field(repr=False)
    password: str | None = field(default=None, repr=False)  #: to be remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSignIn:
    """Whether it is the newest, and so stored; and the state of the session that the user has now."""

    newest: bool
    state: SessionState | None


class SignInStore(Protocol):
    """Each method is one guarded SQL function; all raise StoreUnavailableError and StoreRefusedError."""

    async def admit_sign_in(self, user_email: str, account_email: str, token: UUID, *, fingerprint: str) -> Admission:
        """Counts the try, for the user and for the account. `token`: of this try; `fingerprint`: if there is none."""
        ...

    async def store_sign_in(self, user_email: str, ticket: int, new: NewSession) -> StoredSignIn:
        """Makes it the user's one background session, unless what began later, or a disconnect, came before."""
        ...
