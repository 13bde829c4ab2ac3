"""Revives a dead session: refreshes it, or signs it in again with the remembered password."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from prebooking.domain.errors import BoxSilentError, StoreUnavailableError
from prebooking.domain.ports import Clock, MemberAccount, SessionStore
from prebooking.domain.prebooking import Session
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.sessions.refresh import SessionRefresher
from prebooking.usecases.sessions.sign_in_again import AutomaticSignIn

_SIGN_IN_S = 22.0  # the time limit of a check

WRONG_SIGN_IN = "AimHarder refuses your password, so it was forgotten: sign in to AimHarder again with the right one."


@dataclass(frozen=True, slots=True)
class Revived:
    """The result. `session` is None if it is dead for good; `password_refused`: for that reason."""

    session: Session | None
    password_refused: bool = False


@dataclass(frozen=True, slots=True)
class SessionHealth:
    """Whether a session is alive, and if not, whether its password was refused."""

    alive: bool
    password_refused: bool = False


class SessionReviver:
    def __init__(self, sessions: SessionRefresher, again: AutomaticSignIn, store: SessionStore, clock: Clock) -> None:
        self._sessions = sessions
        self._again = again
        self._store = store
        self._clock = clock

    @property
    def stopping(self) -> bool:
        """Whether the process stops, so that nothing is sent any more."""
        return self._sessions.stopping

    async def revive(
        self,
        gym: MemberAccount,
        user_email: str,
        session: Session,
        *,
        within_s: float,
        patience_s: float,
        may_sign_in: Callable[[], bool],
    ) -> Revived:
        """Revives the session of an execution, and has `gym` use it.

        `patience_s`: see SessionRefresher.refresh. Raises BoxSilentError if the result is not known, or if
        `may_sign_in` returns False: there is no time to sign in.
        """
        until = self._clock.monotonic() + within_s
        if not session.remembered:
            fresh = await self._sessions.refresh(gym, user_email, session, within_s=within_s, patience_s=patience_s)
            return Revived(fresh, fresh is None and session.password_refused)
        try:
            fresh = await self._sessions.refresh(gym, user_email, session, within_s=within_s, patience_s=0.0)
        except BoxSilentError:
            fresh = None
        if fresh is not None:
            return Revived(fresh)
        if not may_sign_in():
            raise BoxSilentError("no time left before the opening to sign in again")
        try:
            found = await self._again.sign_in(
                user_email, session, within_s=until - self._clock.monotonic(), bypass_breakers=True
            )
        except StoreUnavailableError as exc:
            raise BoxSilentError("the session could not be leased") from exc
        if found.session is not None:
            gym.use(found.session.cookies)
        return Revived(found.session, found.outcome == StoreOutcome.REFUSED)

    async def ensure_alive(
        self,
        account: MemberAccount,
        user_email: str,
        session: Session,
        *,
        within_s: float,
        rotate_until: float = math.inf,
    ) -> SessionHealth:
        """Revives the session before an opening: see SessionRefresher.ensure_alive. Signs it in again at most once.

        Raises BoxSilentError if the result is not known, and StoreUnavailableError.
        """
        check = self._sessions.ensure_alive(account, user_email, session, within_s=within_s, rotate_until=rotate_until)
        try:
            alive = await check
        except BoxSilentError:
            if not session.remembered or self.stopping:
                raise
            alive = await account.whoami()
        if not session.remembered:
            return SessionHealth(alive, not alive and session.password_refused)
        stored = await self._store.read_session(user_email)
        session = stored.session if stored and stored.session else session
        if alive and (not session.is_old or self._clock.monotonic() >= rotate_until):
            return SessionHealth(alive=True)
        try:
            found = await self._again.sign_in(user_email, session, within_s=_SIGN_IN_S)
        except BoxSilentError:
            if self.stopping:
                raise
            return SessionHealth(alive)  # the next check tries again
        return SessionHealth(alive or found.session is not None, not alive and found.outcome == StoreOutcome.REFUSED)
