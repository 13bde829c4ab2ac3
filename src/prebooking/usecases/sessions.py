"""Keeps a user's rotating AimHarder session usable: one refresher at a time, across all replicas."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import structlog

from prebooking.domain.errors import BoxSilentError, StoreUnavailableError
from prebooking.domain.ports import Account, Clock
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionStore

_log = structlog.get_logger()

_LEASE_S = 10.0  # longer than a refresh takes
_LOOK_AGAIN_S = 0.2
_PATIENCE_S = 2.0


class Sessions:
    """Refreshes by AimHarder's tokenUpdate. A stale token would end the session: see lease_session."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def refresh(
        self, gym: Account, user_email: str, session: Session, *, within_s: float, patience_s: float = 0.0
    ) -> Session | None:
        """A session that was alive a moment ago, which `gym` then uses; None when it is dead for good.

        `patience_s`: how long to wait for what another may have refreshed and not stored yet.

        Raises BoxSilentError when nobody can tell: the account host or the database is silent, or another's
        refresh takes too long.
        """
        lease, until = uuid4(), self._clock.monotonic() + within_s
        known = session.stored_token
        while self._clock.monotonic() < until:
            try:
                leased = await self._store.lease_session(user_email, known, lease, lease_s=_LEASE_S)
            except StoreUnavailableError as exc:
                raise BoxSilentError("the session could not be leased") from exc
            if leased.outcome == "changed" and leased.session and leased.session.token == session.token:
                known = leased.session.stored_token  # not refreshed: only encrypted anew
                continue
            if leased.outcome == "changed" and leased.session:
                gym.use(leased.session.cookies)
                return leased.session
            if leased.session is None:
                return None
            if leased.outcome == "leased":
                rotated = await self._rotate(gym, leased.session, lease)
                return rotated or await self._of_another(gym, user_email, leased.session.token, patience_s)
            await self._clock.sleep(_LOOK_AGAIN_S)
        raise BoxSilentError("another refresh of the session is taking too long")

    async def keep(self, gym: Account, user_email: str, session: Session, *, within_s: float) -> bool:
        """Whether it is alive, once it was refreshed where it is old or dead. Raises BoxSilentError."""
        alive = await gym.whoami()
        if alive and not session.is_old:
            return True
        try:
            patience_s = _PATIENCE_S
            if await self.refresh(gym, user_email, session, within_s=within_s, patience_s=patience_s) is not None:
                return True
        except BoxSilentError:
            if not alive:
                raise
        # A token that was lost can't be refreshed; the cookies may live on for a while.
        return alive and await gym.whoami()

    async def _of_another(self, gym: Account, user_email: str, refused: str, patience_s: float) -> Session | None:
        """The web application takes no lease: if it was first with the same token, it stores the new one presently."""
        until = self._clock.monotonic() + patience_s
        while True:
            try:
                found = await self._store.read_session(user_email)
            except StoreUnavailableError as exc:
                raise BoxSilentError("the session could not be read") from exc
            if found is None or found.session is None:
                return None
            if found.session.token != refused:
                gym.use(found.session.cookies)
                return found.session
            if self._clock.monotonic() >= until:
                return None
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def _rotate(self, gym: Account, session: Session, lease: UUID) -> Session | None:
        new = await gym.refresh(session.token, session.fingerprint)
        if new is None:
            await self._save(session, lease, error="logout")
            return None
        saved = await self._save(session, lease, token=new.token, cookies=new.cookies)
        if saved is None:  # the gym has rotated it and we could not keep it: it serves this execution
            saved = replace(session, token=new.token, cookies=new.cookies)
        gym.use(saved.cookies)
        return saved

    async def _save(self, session: Session, lease: UUID, **change: Any) -> Session | None:
        try:
            saved = await self._store.save_session(session, lease, **change)
            if saved.outcome == "changed" and saved.session and saved.session.token == session.token:
                saved = await self._store.save_session(saved.session, lease, **change)  # only encrypted anew
            return saved.session
        except StoreUnavailableError as exc:
            _log.error("session_not_saved", session_id=str(session.id), reason=str(exc))
            return None
