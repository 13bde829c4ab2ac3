"""Connects an AimHarder session, checks it, and disconnects it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from prebooking.domain.classes import domains_of
from prebooking.domain.cookies import Cookie, Domain
from prebooking.domain.errors import BoxSilentError, TooOftenError
from prebooking.domain.ports import Gyms, SessionStore
from prebooking.domain.sessions import SessionState
from prebooking.usecases.sessions.refresh import SessionRefresher

_REFRESH_S = 4.0


@dataclass(frozen=True, slots=True)
class ConnectedSession:
    """A connected session. `alive` is None if AimHarder does not respond."""

    state: SessionState
    alive: bool | None


class SessionConnector:
    """Connects and checks sessions.

    AimHarder gets the requests of an execution, so the result is what one would find.
    """

    def __init__(self, store: SessionStore, gyms: Gyms, sessions: SessionRefresher, *, max_per_minute: int) -> None:
        self._store = store
        self._gyms = gyms
        self._sessions = sessions
        self._max_per_minute = max_per_minute

    async def connect(self, user_email: str, *, token: str, cookies: Sequence[Cookie], fingerprint: str) -> bool:
        """Checks the session, and stores it if it is alive. Returns whether it is.

        If the session is not alive under .com, .es is asked. Nothing is stored if it raises TooOftenError, or
        BoxSilentError: .com does not respond, and the session is not alive under .es.
        """
        await self._admit(user_email)
        silent: BoxSilentError | None = None
        for domain in Domain:
            of_domain = [cookie._replace(domain=domain) for cookie in cookies]
            try:
                async with self._gyms.account(of_domain) as account:
                    boxes = await account.boxes()
            except BoxSilentError as exc:
                silent = exc if domain is Domain.COM else silent
                continue
            if boxes is not None:
                await self._store.connect_session(
                    user_email,
                    token=token,
                    cookies=of_domain,
                    fingerprint=fingerprint,
                    box_domains=domains_of(boxes),
                )
                return True
        if silent is not None:
            raise silent
        return False

    async def status(self, user_email: str) -> ConnectedSession | None:
        """Returns the state of the session, or None if there is none. Raises TooOftenError."""
        stored = await self._store.read_session(user_email)
        if stored is None:
            return None
        session = stored.readable
        if session is None:
            return ConnectedSession(stored.state, alive=False)
        await self._admit(user_email)
        try:
            async with self._gyms.account(session.cookies) as account:
                if await account.whoami():
                    return ConnectedSession(stored.state, alive=True)
                session = await self._sessions.refresh(account, user_email, session, within_s=_REFRESH_S)
        except BoxSilentError:
            return ConnectedSession(stored.state, alive=None)
        stored = await self._store.read_session(user_email) or stored
        return ConnectedSession(stored.state, alive=session is not None)

    async def disconnect(self, user_email: str) -> None:
        await self._store.disconnect_session(user_email)

    async def _admit(self, user_email: str) -> None:
        """Limits the requests: AimHarder may take too many for an attack, and block this service."""
        wait_s = await self._store.admit_check(user_email, uuid4(), max_per_minute=self._max_per_minute)
        if wait_s:
            raise TooOftenError(self._max_per_minute, wait_s)
