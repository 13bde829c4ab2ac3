"""The users' AimHarder sessions, as the database keeps them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.prebooking import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAnswer:
    """outcome: leased, changed (use the session given), busy, no_session, saved or noted."""

    outcome: str
    session: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """What its user may see of a session."""

    since: datetime  #: when it was connected
    refreshed_at: datetime | None
    session_type: str  #: background, or device: a sign-in of the web application
    account_email: str | None = None  #: at AimHarder, where it was signed in to here
    remembered: bool = False  #: whether the password is


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """`session` is None where its secrets can't be read, and no remembered password brings it back: it is as good as
    none.
    """

    state: SessionState
    session: Session | None

    @property
    def readable(self) -> Session | None:
        """The session, if its secrets can be read."""
        return self.session if self.session is not None and self.session.is_readable else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCheck:
    """A user whose class opens soon, and the rows that it is for."""

    user_email: str
    prebooking_ids: tuple[UUID, ...]
    next_in_s: float = math.inf  #: seconds until the user's next opening, of whatever row
    last_in_s: float = math.inf  #: seconds until the last opening of these rows


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

    async def note_box_domains(self, user_email: str, domains: Mapping[str, Domain]) -> None:
        """Keeps with the user's session which boxes of its member are not under aimharder.com."""
        ...

    async def disconnect_session(self, user_email: str) -> None:
        """Forgets the background session, if there is one."""
        ...
