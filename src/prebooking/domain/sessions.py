"""The users' AimHarder sessions, as the database stores them."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from prebooking.domain.cookies import Cookie
from prebooking.domain.prebooking import Session
from prebooking.domain.store_outcomes import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAnswer:
    """The result of a lease or a write of a session. CHANGED: use `session` instead of the known one."""

    outcome: StoreOutcome
    session: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """The part of a session that its user may see."""

    since: datetime  #: when it was connected
    refreshed_at: datetime | None
    session_type: str  #: background, or device: a sign-in of the web application
    account_email: str | None = None  #: that of the AimHarder account, if the user signed in here
    remembered: bool = False  #: whether the password is remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A stored session. `session` is None if it can't be decrypted and no password is remembered."""

    state: SessionState
    session: Session | None

    @property
    def readable(self) -> Session | None:
        """The session, if its secrets can be read."""
        return self.session if self.session is not None and self.session.is_decryptable else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCheck:
    """A check of a user's session, and the rows that it is for."""

    user_email: str
    prebooking_ids: tuple[UUID, ...]
    next_in_s: float = math.inf  #: seconds until the next opening of any of the user's rows
    last_in_s: float = math.inf  #: seconds until the last opening of these rows


@dataclass(frozen=True, slots=True)
class NewTokens:
    """The secrets that a refresh returns: token and cookies belong together."""

    token: str = field(repr=False)
    cookies: tuple[Cookie, ...] = field(repr=False)
