"""Signing in to AimHarder by e-mail and password, as the database counts and keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionAnswer, SessionState


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
    cookies: tuple[Cookie, ...] = field(repr=False)
    fingerprint: str = field(repr=False)
    password: str | None = field(default=None, repr=False)  #: to be remembered
    box_domains: Mapping[str, Domain] = field(default_factory=dict[str, Domain])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSignIn:
    """Whether it is the newest, and so stored; and the state of the session that the user has now."""

    newest: bool
    state: SessionState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLease:
    """outcome: leased (with all that it takes), changed (use the session given), busy, too_many, refused (earlier),
    not_remembered or no_session.
    """

    outcome: str
    session: Session | None = None
    generation: int = 0
    account_email: str = ""
    password: str = field(default="", repr=False)
    fingerprint: str = field(default="", repr=False)


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
