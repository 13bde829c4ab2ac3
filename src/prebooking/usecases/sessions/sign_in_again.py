"""Signs dead sessions in again with the remembered password, one replica at a time.

Like the sign-in of a person (sign_in.py) it can't be repeated (effects.py). It takes the same lease in the database as
a refresh, so that the two exclude each other, and has a rate limit of its own.
"""

import math
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import structlog

from prebooking.domain.errors import (
    AccountLockedError,
    BoxSilentError,
    StoreRefusedError,
    StoreUnavailableError,
    WrongCredentialsError,
)
from prebooking.domain.ports import Clock, SignInStore
from prebooking.domain.prebooking import Session
from prebooking.domain.sign_ins import SignInLease
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.effects import Effect, Effects
from prebooking.usecases.guarded_gyms import GuardedGyms
from prebooking.usecases.sessions.leased_effect import lease, run_leased
from prebooking.usecases.sessions.sign_in import log_in

_log = structlog.get_logger()

_ANSWER_S = 20.0  # a login that is lost ends no session
_LEASE_S = 25.0  # longer than an answer may take


class AutomaticSignIn:
    """Signs dead sessions in again. One instance per process."""

    def __init__(self, store: SignInStore, gyms: GuardedGyms, clock: Clock, effects: Effects) -> None:
        self._store = store
        self._gyms = gyms
        self._clock = clock
        self._effects = effects
        self._lease = uuid4()  # not the one of refreshes in this process, so that they exclude each other, too

    async def sign_in(
        self,
        user_email: str,
        session: Session,
        *,
        within_s: float,
        not_after: float = math.inf,
        bypass_breakers: bool = False,
    ) -> SignInLease:
        """Outcomes: SAVED or CHANGED (with the session), REFUSED (the password is forgotten), NOT_REMEMBERED, TOO_MANY,
        NO_SESSION.

        `bypass_breakers`: even if AimHarder did not respond recently. `not_after`: the latest time to send a login (on
        the monotonic clock). Raises BoxSilentError if the result is unknown, and StoreUnavailableError.
        """
        sign_in = partial(self._sign_in, user_email, session, not_after, bypass_breakers)
        return await run_leased(
            self._effects, self._clock, "sign_in_again", user_email, session, sign_in, within_s=within_s
        )

    async def _sign_in(
        self,
        user_email: str,
        known: Session,
        not_after: float,
        bypass_breakers: bool,  # noqa: FBT001
        effect: Effect[SignInLease],
    ) -> SignInLease:
        leased = await self._leased(user_email, known)
        if leased.outcome != StoreOutcome.LEASED:
            return leased
        end = partial(self._end, effect, user_email, leased)
        login = leased.account_email, leased.password, leased.fingerprint
        async with self._gyms.account((), bypasses_breakers=bypass_breakers) as account:
            try:
                token, _ = await effect.send(partial(log_in, account, *login), within_s=_ANSWER_S, not_after=not_after)
            except WrongCredentialsError:
                _log.warning("password_refused", session_id=str(known.id))
                return await end(refused=True)
            except (AccountLockedError, BoxSilentError) as exc:
                reason = str(exc) or "AimHarder has locked the account"
                _log.warning("not_signed_in_again", session_id=str(known.id), reason=reason)
                await end(refused=False)
                raise BoxSilentError(reason) from exc
            cookies = account.cookies
        new = replace(known, token=token, cookies=cookies, fingerprint=leased.fingerprint, token_age_s=0.0)
        signed_in = SignInLease(outcome=StoreOutcome.SAVED, session=replace(new, rotation_unconfirmed=False))
        save = partial(
            self._store.save_sign_in_again, user_email, leased.generation, self._lease, token=token, cookies=cookies
        )
        try:
            saved = await effect.store(save, provisional=signed_in)
        except (StoreUnavailableError, StoreRefusedError) as exc:
            _log.error("session_not_saved", session_id=str(known.id), what="signed_in", reason=str(exc))
            return signed_in
        if saved.session is None:
            return SignInLease(outcome=StoreOutcome.NO_SESSION)
        _log.info("signed_in_again", session_id=str(known.id))
        return SignInLease(outcome=StoreOutcome.SAVED, session=saved.session)

    async def _leased(self, user_email: str, known: Session) -> SignInLease:
        this_try = uuid4()

        def ask(stored: str) -> Awaitable[SignInLease]:
            return self._store.lease_sign_in(user_email, stored, self._lease, this_try, lease_s=_LEASE_S)

        # The same session, or another one that can't be used.
        return await lease(ask, known, lambda found: found.token == known.token or not found.is_decryptable)

    async def _end(
        self, effect: Effect[SignInLease], user_email: str, leased: SignInLease, *, refused: bool
    ) -> SignInLease:
        """Releases the lease, however long that takes."""
        end = partial(self._store.end_sign_in_again, user_email, leased.generation, self._lease, refused=refused)
        nothing = SignInLease(outcome=StoreOutcome.REFUSED)
        try:
            ended = await effect.store(end, provisional=nothing if refused else None)
        except (StoreUnavailableError, StoreRefusedError) as exc:
            _log.error("session_not_saved", what="refused" if refused else "not_signed_in", reason=str(exc))
            return nothing
        if ended.outcome != StoreOutcome.SUPERSEDED:
            return nothing
        return SignInLease(
            outcome=StoreOutcome.CHANGED if ended.session else StoreOutcome.NO_SESSION, session=ended.session
        )
