"""Looks at the sessions of those whose class opens soon: refreshed where they are old, signed in again where
they are dead and remembered, told of where they stay dead.
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
from prebooking.usecases.sessions.refresh import PATIENCE_S
from prebooking.usecases.sessions.revive import WRONG_SIGN_IN, SessionHealth, SessionReviver

_log = structlog.get_logger()

_AT_ONCE = 4  # AimHarder may take more for an attack
_REFRESH_S = 8.0
_LOOK_S = 4.0  # the longest that a check usually takes
_LAST_MINUTE_S = 65.0  # before any opening of the user, with what connecting takes: a living session is left alone
_AGAIN_S = 180.0  # with less than this left, a session that is not noted could not be refreshed by the next check
_DEAD = "Your AimHarder session has ended: sign in again before the opening, or this class can't be booked."


_Taken = tuple[SessionCheck, float]  #: and when, on the monotonic clock


@dataclass(frozen=True, slots=True)
class _Dead:
    """The result of a check."""

    look: SessionCheck
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

    async def look(self, until: float = math.inf, *, on_dead: Callable[[], None] = lambda: None) -> bool:
        """Looks at all sessions that are due. Returns whether some were found dead. Raises StoreUnavailableError.

        None begins less than four seconds before `until` (on the monotonic clock), or while the process stops.
        `on_dead` is called whenever some were found dead: the rest may take a while.
        """
        died_before = self.died
        while self._is_time(until) and not self._gyms.account_host_would_reject and (looks := await self._taken()):
            died = self.died
            await self._look_at(list(reversed(looks)), until)
            if self.died > died:
                on_dead()
        return self.died > died_before

    async def _look_at(self, waiting: list[_Taken], until: float) -> None:
        dead: list[_Dead] = []

        async def work_through() -> None:
            while waiting and self._is_time(until):
                found = await self._look(*waiting.pop())
                if found is not None:
                    dead.append(found)

        failures = await asyncio.gather(*(work_through() for _ in range(_AT_ONCE)), return_exceptions=True)
        if dead:
            # Once for all of them: each on its own would keep the others waiting.
            await self._clock.sleep(PATIENCE_S)
            for one in dead:
                await self._note_dead(one)
        for failure in failures:
            if failure is not None:
                raise failure

    def _is_time(self, until: float) -> bool:
        return until - self._clock.monotonic() > _LOOK_S and not self._revival.stopping

    async def _taken(self) -> Sequence[_Taken]:
        await self._gate.calm()
        now = self._clock.monotonic()
        return [(look, now) for look in await self._store.take_session_looks()]

    async def _look(self, look: SessionCheck, taken: float) -> _Dead | None:
        await self._gate.calm()
        stored = await self._store.read_session(look.user_email)
        session = stored.session if stored else None
        health = SessionHealth(alive=False)
        if session is not None:
            rotate_until = taken + look.next_in_s - _LAST_MINUTE_S
            try:
                async with self._gyms.account(session.cookies) as account:
                    health = await self._revival.ensure_alive(
                        account, look.user_email, session, within_s=_REFRESH_S, rotate_until=rotate_until
                    )
            except BoxSilentError as exc:  # not noted, so in a minute somebody looks again
                _log.warning("session_not_seen", session_id=str(session.id), reason=str(exc))
                return None
            if (
                health.alive
                and session.is_old
                and taken + look.last_in_s - _AGAIN_S > self._clock.monotonic() > rotate_until
            ):
                return None  # too near to another opening; once that is past there is time, so it is not noted either
        if not health.alive:
            return _Dead(look, session, health.password_refused)
        await self._note(look, session, alive=True)
        return None

    async def _note_dead(self, found: _Dead) -> None:
        look, session = found.look, found.session
        stored = await self._store.read_session(look.user_email)
        now = stored.readable if stored else None
        if now is not None and (session is None or now.token != session.token):
            return  # somebody has stored another one meanwhile: in a minute it is looked at
        await self._note(look, session, alive=False, password_refused=found.password_refused)
        self.died += 1
        self._metrics.count_dead_session()
        ids = [str(prebooking_id) for prebooking_id in look.prebooking_ids]
        _log.warning("session_dead", session_id=str(session.id) if session else None, prebooking_ids=ids)

    async def _note(
        self, look: SessionCheck, session: Session | None, *, alive: bool, password_refused: bool = False
    ) -> None:
        # Which session it was, without its secret: of another one that dies the user is told anew. As its row has it
        # the token changes whenever it is encrypted anew.
        which = sha256(session.token.encode()).hexdigest() if session else "none"
        await self._store.note_session_look(
            look.prebooking_ids,
            alive=alive,
            session=which,
            message=WRONG_SIGN_IN if password_refused else _DEAD,
            reason="password_refused" if password_refused else None,
        )
