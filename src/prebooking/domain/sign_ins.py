"""Sign-ins to AimHarder by e-mail and password, as the database counts and stores them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prebooking.domain.classes import MemberBox
from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionState
from prebooking.domain.store_outcomes import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The right to one attempt. `ticket` is None after too many attempts."""

    ticket: int | None = (
        None  #: a number that rises with each attempt of a user: the highest one that succeeds is stored
    )
    fingerprint: str = field(default="", repr=False)  #: identifies all sign-ins of this user to AimHarder
    retry_after: float = 0.0  #: seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """The result of a sign-in, to be stored. Its values are secrets."""

    account_email: str
    token: str = field(repr=False)
    cookies: tuple[Cookie, ...] = field(repr=False)
    fingerprint: str = field(repr=False)
    password: str | None = field(default=None, repr=False)  #: to be remembered
    box_domains: Mapping[str, Domain] = field(default_factory=dict[str, Domain])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSignIn:
    """Whether the sign-in was the newest and is stored, and the state of the user's current session."""

    newest: bool
    state: SessionState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLease:
    """The result of a lease to sign in again. LEASED: with the credentials; CHANGED: with the session to use."""

    outcome: StoreOutcome
    session: Session | None = None
    generation: int = 0
    account_email: str = ""
    password: str = field(default="", repr=False)
    fingerprint: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The result of a login, besides cookies."""

    token: str = field(repr=False)
    boxes: tuple[MemberBox, ...] = ()
