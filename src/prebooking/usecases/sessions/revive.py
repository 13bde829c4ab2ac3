"""Revives a dead session: refreshes it, or signs it in again with the remembered password."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from prebooking.domain.budget import Budget
from prebooking.domain.errors import BoxSilentError, StoreUnavailableError
from prebooking.domain.outcome import Ending
from prebooking.domain.ports import Clock, MemberAccount, SessionStore
from prebooking.domain.prebooking import Session
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.sessions.refresh import WEB_APP_S, SessionRefresher
from prebooking.usecases.sessions.sign_in_again import AutomaticSignIn

_SIGN_IN_OF_CHECK_S = 22.0
# Of an execution:
_REFRESH_S = 4.0
_SIGN_IN_S = 6.0
_SIGN_IN_BEFORE_S = 2.0
_LEAST_REFRESH_S = 2.0  # with less left it would come too late, and a host that sleeps after the answer could lose it
_TO_END_S = 0.3  # of the budget, for what follows a refresh that was waited for

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
        web_app_s: float,
        may_sign_in: Callable[[], bool],
    ) -> Revived:
        """Revives the session of an execution, and has `gym` use it.

        `web_app_s`: see SessionRefresher.refresh. Raises BoxSilentError if the result is not known, or if
        `may_sign_in` returns False: there is no time to sign in.
        """
        until = self._clock.monotonic() + within_s
        if not session.remembered:
            fresh = await self._sessions.refresh(gym, user_email, session, within_s=within_s, web_app_s=web_app_s)
            return Revived(fresh, fresh is None and session.password_refused)
        try:
            fresh = await self._sessions.refresh(gym, user_email, session, within_s=within_s, web_app_s=0.0)
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
            found = await self._again.sign_in(user_email, session, within_s=_SIGN_IN_OF_CHECK_S)
        except BoxSilentError:
            if self.stopping:
                raise
            return SessionHealth(alive)  # the next check tries again
        return SessionHealth(alive or found.session is not None, not alive and found.outcome == StoreOutcome.REFUSED)


class Revival:
    """The session of one execution, which is revived until one result is known.

    `since_opening`: returns seconds, negative before the opening.
    """

    def __init__(
        self,
        reviver: SessionReviver,
        gym: MemberAccount,
        user_email: str,
        session: Session,
        budget: Budget,
        since_opening: Callable[[], float],
    ) -> None:
        self.session = session
        self._reviver = reviver
        self._gym = gym
        self._user_email = user_email
        self._budget = budget
        self._since_opening = since_opening
        self._reviving: asyncio.Task[bool] | None = None
        self._revived: Revived | None = None
        self._is_told = False

    async def revive(self, web_app_s: float = WEB_APP_S) -> bool:
        """Refreshes the dead session, or signs it in again. Returns whether it is alive then; False the second time.

        Raises BoxSilentError if that is not known. If a caller is cancelled the refresh goes on, and the next caller
        waits for it. `web_app_s`: see SessionRefresher.refresh.
        """
        if self._is_told:
            return False
        if self._reviving is None:
            within_s = self._budget.for_answers
            if within_s < _LEAST_REFRESH_S:
                raise BoxSilentError("no time left for a refresh")
            self._reviving = asyncio.create_task(self._revive(within_s, web_app_s))
        try:
            alive = await asyncio.shield(self._reviving)
        except BoxSilentError:
            self._reviving = None
            raise
        self._is_told = True
        return alive

    async def _revive(self, within_s: float, web_app_s: float) -> bool:
        """Sets `session` also where nobody waits for the result any more."""
        revived = self._revived = await self._reviver.revive(
            self._gym,
            self._user_email,
            self.session,
            within_s=min(_SIGN_IN_S if self.session.remembered else _REFRESH_S, within_s),
            web_app_s=web_app_s,
            may_sign_in=self._may_sign_in,
        )
        if revived.session is None:
            return False
        self.session = revived.session
        return True

    def ended(self, ending: Ending) -> Ending:
        """Returns the ending with the reason why the session was not signed in again."""
        refused = self._revived is not None and self._revived.password_refused
        return replace(ending, sentence=WRONG_SIGN_IN) if refused else ending

    async def aclose(self) -> None:
        """Waits for a running revival while the budget lasts, then cancels it. A token refresh that was sent goes on by
        itself; on a host that sleeps between requests it has no more time than the budget.
        """
        if self._reviving is not None:
            await asyncio.wait({self._reviving}, timeout=max(0.0, self._budget.left - _TO_END_S))
            self._reviving.cancel()
            await asyncio.gather(self._reviving, return_exceptions=True)

    def _may_sign_in(self) -> bool:
        """Returns False so shortly before the opening that the request would be late."""
        return not -_SIGN_IN_BEFORE_S < self._since_opening() < 0
