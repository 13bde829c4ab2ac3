"""Checks the sessions of users whose classes open soon.

An old session is refreshed. A dead one is signed in again if its password is remembered; else its user is notified.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import structlog

from prebooking.domain.errors import BoxSilentError
from prebooking.domain.ports import Clock, Metrics, SessionStore
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionCheck
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.sessions.refresh import WEB_APP_S
from prebooking.usecases.sessions.revive import WRONG_SIGN_IN, SessionHealth, SessionReviver

_log = structlog.get_logger()

_AT_ONCE = 4  # AimHarder may take more requests at once for an attack
_REFRESH_S = 8.0
_CHECK_S = 4.0  # the longest that a check usually takes
_LAST_MINUTE_S = 65.0  # before any opening of the user, with what connecting takes: a living session is left alone
_AGAIN_S = 180.0  # with less than this left, a session that is not noted could not be refreshed by the next check
_DEAD = "Your AimHarder session has ended: sign in again before the opening, or this class can't be booked."


_Taken = tuple[SessionCheck, float]  #: and when, on the monotonic clock


@dataclass(frozen=True, slots=True)
class _Dead:
    """A check that found the session dead."""

    check: SessionCheck
    session: Session | None
    password_refused: bool


class SessionWatch:
    def __init__(
        self,
        store: SessionStore,
        gyms: GuardedGyms,
        revival: SessionReviver,
        gate: Gate,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._gyms = gyms
        self._gate = gate
        self._clock = clock
        self._metrics = metrics
        self._revival = revival
        self.died = 0  #: how many were found dead, since the start

    async def check(self, until: float = math.inf, *, on_dead: Callable[[], None] = lambda: None) -> bool:
        """Checks all sessions that are due. Returns whether some were found dead. Raises StoreUnavailableError.

        No check begins less than four seconds before `until` (on the monotonic clock), or while the process stops.
        `on_dead` is called whenever some were found dead: the rest may take a while.
        """
        died_before = self.died
        while self._is_time(until) and not self._gyms.account_host_would_reject and (checks := await self._taken()):
            died = self.died
            await self._check_all(list(reversed(checks)), until)
            if self.died > died:
                on_dead()
        return self.died > died_before

    async def _check_all(self, waiting: list[_Taken], until: float) -> None:
        dead: list[_Dead] = []

        async def work_through() -> None:
            while waiting and self._is_time(until):
                found = await self._check(*waiting.pop())
                if found is not None:
                    dead.append(found)

        failures = await asyncio.gather(*(work_through() for _ in range(_AT_ONCE)), return_exceptions=True)
        if dead:
            # One pause for all of them: one for each would delay the others.
            await self._clock.sleep(WEB_APP_S)
            for one in dead:
                await self._note_dead(one)
        for failure in failures:
            if failure is not None:
                raise failure

    def _is_time(self, until: float) -> bool:
        return until - self._clock.monotonic() > _CHECK_S and not self._revival.stopping

    async def _taken(self) -> Sequence[_Taken]:
        await self._gate.calm()
        now = self._clock.monotonic()
        return [(check, now) for check in await self._store.take_session_looks()]

    async def _check(self, check: SessionCheck, taken: float) -> _Dead | None:
        await self._gate.calm()
        stored = await self._store.read_session(check.user_email)
        session = stored.session if stored else None
        health = SessionHealth(alive=False)
        if session is not None:
            rotate_until = taken + check.next_in_s - _LAST_MINUTE_S
            try:
                async with self._gyms.account(session.cookies) as account:
                    health = await self._revival.ensure_alive(
                        account, check.user_email, session, within_s=_REFRESH_S, rotate_until=rotate_until
                    )
            except BoxSilentError as exc:  # not noted, so it is checked again in a minute
                _log.warning("session_not_seen", session_id=str(session.id), reason=str(exc))
                return None
            if (
                health.alive
                and session.is_old
                and taken + check.last_in_s - _AGAIN_S > self._clock.monotonic() > rotate_until
            ):
                return None  # too close to another opening; not noted either, so it is checked again after that
        if not health.alive:
            return _Dead(check, session, health.password_refused)
        await self._note(check, session, alive=True)
        return None

    async def _note_dead(self, found: _Dead) -> None:
        check, session = found.check, found.session
        stored = await self._store.read_session(check.user_email)
        now = stored.readable if stored else None
        if now is not None and (session is None or now.token != session.token):
            return  # another session has been stored meanwhile: it is checked in a minute
        await self._note(check, session, alive=False, password_refused=found.password_refused)
        self.died += 1
        self._metrics.count_dead_session()
        ids = [str(prebooking_id) for prebooking_id in check.prebooking_ids]
        _log.warning("session_dead", session_id=str(session.id) if session else None, prebooking_ids=ids)

    async def _note(
        self, check: SessionCheck, session: Session | None, *, alive: bool, password_refused: bool = False
    ) -> None:
        # Identifies the session without its secret: the user is notified once for each dead session. The plain token is
        # hashed, since the stored one changes whenever it is encrypted again.
        which = sha256(session.token.encode()).hexdigest() if session else "none"
        await self._store.note_session_look(
            check.prebooking_ids,
            alive=alive,
            session=which,
            message=WRONG_SIGN_IN if password_refused else _DEAD,
            reason="password_refused" if password_refused else None,
        )
