"""Signing in to AimHarder by e-mail and password, as the database counts and keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prebooking.domain.classes import MemberBox
from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionState
from prebooking.domain.store_outcomes import StoreOutcome


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
    """What a lease to sign in again came to. LEASED: with all that it takes; CHANGED: with the session to use."""

    outcome: StoreOutcome
    session: Session | None = None
    generation: int = 0
    account_email: str = ""
    password: str = field(default="", repr=False)
    fingerprint: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a login gives, besides cookies."""

    token: str = field(repr=False)
    boxes: tuple[MemberBox, ...] = ()
