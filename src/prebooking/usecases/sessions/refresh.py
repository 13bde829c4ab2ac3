"""Refreshes users' AimHarder sessions: one refresh at a time, across all replicas.

AimHarder's tokenUpdate can't be repeated (effects.py): the old token is invalid once the new one was issued. So the new
one is awaited and stored, even if the caller is not waiting any more.
"""

import math
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import structlog

from prebooking.domain.errors import BoxSilentError, NotSentError, StoreRefusedError, StoreUnavailableError
from prebooking.domain.ports import Clock, Gyms, MemberAccount, SessionStore
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionAnswer
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.effects import Effect, Effects
from prebooking.usecases.sessions.leased_effect import LOOK_AGAIN_S, lease, run_leased

_log = structlog.get_logger()

_ANSWER_S = 45.0
_LEASE_S = 120.0  # longer than an answer may take, and the database may be down after it
_RENEW_S = 30.0
WEB_APP_S = 2.0
# The state of a session whose refresh was not answered. Its token may be stale: no refresh uses it while the session
# is alive.
ANSWER_LOST = "answer_lost"


class SessionRefresher:
    """Refreshes sessions. One instance per process. A stale token may end the session at the gym: see lease_session."""

    def __init__(self, store: SessionStore, gyms: Gyms, clock: Clock, effects: Effects) -> None:
        self._store = store
        self._gyms = gyms
        self._clock = clock
        self._effects = effects
        self._lease = uuid4()  # of this process: after a lost answer to a lease the next call gets the same lease

    @property
    def stopping(self) -> bool:
        """Whether the process stops, so that nothing is refreshed any more."""
        return self._effects.stopping

    async def refresh(
        self,
        gym: MemberAccount,
        user_email: str,
        session: Session,
        *,
        within_s: float,
        web_app_s: float = WEB_APP_S,
        not_after: float = math.inf,
    ) -> Session | None:
        """Returns a session that was alive just now, and has `gym` use it; None if it is dead for good.

        `within_s`: the time limit; a refresh that was sent goes on. `web_app_s`: for how long to wait for a session
        that the web application, which takes no lease, may have refreshed. `not_after`: the latest time to send a
        refresh (on the monotonic clock).

        Raises BoxSilentError if the result is unknown: the account host or the database does not respond, the answer to
        a refresh was lost, or one takes too long.
        """
        if not session.is_decryptable:
            return None
        began = self._clock.monotonic()
        rotate = partial(self._rotate, user_email, session, not_after)
        found: SessionAnswer = await run_leased(
            self._effects, self._clock, "rotation", user_email, session, rotate, within_s=within_s
        )
        fresh = found.session
        if found.outcome == StoreOutcome.REFUSED and fresh is not None:
            fresh = await self._of_another(user_email, fresh.token, began + min(within_s, web_app_s))
        if fresh is None or not fresh.is_decryptable:
            return None
        gym.use(fresh.cookies)
        return fresh

    async def ensure_alive(
        self, gym: MemberAccount, user_email: str, session: Session, *, within_s: float, rotate_until: float = math.inf
    ) -> bool:
        """Refreshes the session if it is old or dead. Returns whether it is alive then. Raises BoxSilentError.

        A living session is refreshed no later than `rotate_until` (on the monotonic clock), and not with a token that
        may be stale. For WEB_APP_S it waits for the web application, which may have refreshed a dead one.
        """
        alive = await gym.whoami()
        if alive and (not session.is_old or session.rotation_unconfirmed or self._clock.monotonic() >= rotate_until):
            return True
        not_after = rotate_until if alive else math.inf
        try:
            fresh = await self.refresh(gym, user_email, session, within_s=within_s, web_app_s=0.0, not_after=not_after)
        except BoxSilentError:
            if alive and await gym.whoami():
                return True
            raise  # also if the cookies have just expired: they may have been renewed
        # A lost token can't be refreshed; the cookies may be valid for a while.
        return fresh is not None or (alive and await gym.whoami())

    async def _of_another(self, user_email: str, refused: str, until: float) -> Session | None:
        """Waits for the web application: it takes no lease, and may be about to store a new token."""
        while True:
            try:
                found = await self._store.read_session(user_email)
            except StoreUnavailableError as exc:
                raise BoxSilentError("the session could not be read") from exc
            session = found.readable if found else None
            if session is None:
                return None
            if session.token != refused:
                return session
            if self._clock.monotonic() >= until:
                return None
            await self._clock.sleep(LOOK_AGAIN_S)

    async def _rotate(
        self, user_email: str, known: Session, not_after: float, effect: Effect[SessionAnswer]
    ) -> SessionAnswer:
        """Sends the refresh.

        SAVED (also if the answer was lost and the cookies are valid), REFUSED, or why nothing was sent.
        """
        leased = await self._leased(user_email, known)
        session = leased.session
        if leased.outcome != StoreOutcome.LEASED or session is None:
            return leased
        leased_at = self._clock.monotonic()
        save = partial(self._save, effect, user_email, session, leased_at)
        async with self._gyms.account(session.cookies) as account:
            refresh = partial(account.refresh, session.token, session.fingerprint)
            try:
                new = await effect.send(refresh, within_s=_ANSWER_S, not_after=not_after)
            except NotSentError:
                await save("not_sent", error=ANSWER_LOST if known.rotation_unconfirmed else "not_sent")
                raise
            except BoxSilentError as exc:
                alive, cookies = await _lives(account), account.cookies
                _log.warning("rotation_answer_lost", session_id=str(session.id), alive=alive, reason=str(exc))
                if not alive:
                    await save("unknown", error=ANSWER_LOST)
                    raise
                return await save("alive", replace(session, cookies=cookies), error=ANSWER_LOST, cookies=cookies)
            if new is None:
                await save("refused", error="logout")
                return SessionAnswer(outcome=StoreOutcome.REFUSED, session=session)
            rotated = replace(session, token=new.token, cookies=new.cookies, token_age_s=0.0)
            return await save("saved", rotated, token=new.token, cookies=new.cookies)

    async def _leased(self, user_email: str, known: Session) -> SessionAnswer:
        def ask(stored: str) -> Awaitable[SessionAnswer]:
            return self._store.lease_session(user_email, stored, self._lease, lease_s=_LEASE_S)

        try:
            return await lease(ask, known, lambda found: found.token == known.token)
        except StoreUnavailableError as exc:
            raise BoxSilentError("the session could not be leased") from exc

    async def _save(
        self,
        effect: Effect[SessionAnswer],
        user_email: str,
        session: Session,
        leased_at: float,
        what: str,
        now: Session | None = None,
        **change: Any,
    ) -> SessionAnswer:
        """Stores the change and releases the lease, however long that takes. `now`: the new session.

        Raises nothing: what can't be stored is logged, and still returned to the callers.
        """

        async def write() -> SessionAnswer:
            nonlocal leased_at
            if self._clock.monotonic() - leased_at > _RENEW_S:
                with suppress(BoxSilentError):
                    await self._leased(user_email, session)
                    leased_at = self._clock.monotonic()
            saved = await self._store.save_session(session, self._lease, **change)
            if saved.outcome == StoreOutcome.CHANGED and saved.session and saved.session.token == session.token:
                saved = await self._store.save_session(saved.session, self._lease, **change)  # only encrypted again
            return saved

        known = SessionAnswer(outcome=StoreOutcome.SAVED, session=now)
        try:
            saved = await effect.store(write, provisional=known if now else None)
        except (StoreUnavailableError, StoreRefusedError) as exc:
            _log.error("session_not_saved", session_id=str(session.id), what=what, reason=str(exc))
            return known
        return SessionAnswer(outcome=StoreOutcome.SAVED, session=saved.session)


async def _lives(account: MemberAccount) -> bool:
    try:
        return await account.whoami()
    except BoxSilentError:
        return False
