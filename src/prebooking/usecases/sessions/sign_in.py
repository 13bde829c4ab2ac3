"""Signs members in to AimHarder by e-mail and password.

Login, /setrefresh and whoami are one effect that can't be repeated (effects.py): the session exists at the gym as soon
as the login was sent, so the answer is awaited, and the result is stored once, at the end. The attempt is counted
before: at the limit no request is sent to AimHarder.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from uuid import uuid4

from prebooking.domain.classes import MemberBox, domains_of
from prebooking.domain.errors import (
    BoxSilentError,
    CantRememberError,
    NotSentError,
    StoreUnavailableError,
    TooManyTriesError,
)
from prebooking.domain.ports import Clock, Gyms, MemberAccount, SignInStore
from prebooking.domain.sign_ins import NewSession, StoredSignIn
from prebooking.usecases.effects import Effect, Effects

_ANSWER_S = 45.0
_WAIT_S = 8.0  # for the caller; the sign-in goes on
_FINGERPRINT_BYTES = 25  # 50 characters, as many as AimHarder's own page makes


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. `stored` is None while that is not known yet."""

    stored: StoredSignIn | None
    boxes: Sequence[MemberBox]


class SignInService:
    """Signs members in. `remembers`: whether passwords may be stored, since they are encrypted."""

    def __init__(self, store: SignInStore, gyms: Gyms, clock: Clock, effects: Effects, *, remembers: bool) -> None:
        self._store = store
        self._gyms = gyms
        self._clock = clock
        self._effects = effects
        self._remembers = remembers

    async def sign_in(
        self,
        user_email: str,
        account_email: str,
        password: str,
        *,
        remember: bool,
        abandoned: Callable[[], Awaitable[bool]],
    ) -> tuple[StoredSignIn, Sequence[MemberBox]]:
        """Signs in. Concurrent calls with the same arguments share one sign-in.

        Raises CantRememberError and TooManyTriesError before a request is sent; WrongCredentialsError,
        AccountLockedError and BoxSilentError, with nothing stored; StoreUnavailableError.

        `abandoned`: called after the attempt is counted and before a request is sent. A process that was suspended
        before gets a ticket above those of the user's later attempts elsewhere, so it must not go on if the client has
        disconnected.
        """
        if remember and not self._remembers:
            raise CantRememberError
        same = sha256(repr((account_email.lower(), password, remember)).encode()).hexdigest()
        effect: Effect[SignedIn] = self._effects.run(
            "sign_in",
            f"{user_email.lower()} {same}",
            partial(self._sign_in, user_email, account_email, password, remember, abandoned),
        )
        try:
            async with asyncio.timeout(_WAIT_S):
                found = await effect.result()
        except TimeoutError as exc:
            raise BoxSilentError("the sign-in takes long; it goes on") from exc
        if found.stored is None:
            raise StoreUnavailableError("the sign-in is not stored yet; it goes on")
        return found.stored, found.boxes

    async def _sign_in(
        self,
        user_email: str,
        account_email: str,
        password: str,
        remember: bool,  # noqa: FBT001
        abandoned: Callable[[], Awaitable[bool]],
        effect: Effect[SignedIn],
    ) -> SignedIn:
        admitted = await self._store.admit_sign_in(
            user_email, account_email, uuid4(), fingerprint=secrets.token_hex(_FINGERPRINT_BYTES)
        )
        if admitted.ticket is None:
            raise TooManyTriesError(admitted.retry_after)
        if await abandoned():
            raise NotSentError("whoever asked for it has hung up")
        fingerprint, ticket = admitted.fingerprint, admitted.ticket
        async with self._gyms.account(()) as account:
            token, boxes = await effect.send(
                partial(log_in, account, account_email, password, fingerprint), within_s=_ANSWER_S
            )
            new = NewSession(
                account_email=account_email,
                token=token,
                cookies=account.cookies,
                fingerprint=fingerprint,
                password=password if remember else None,
                box_domains=domains_of(boxes),
            )
        store = partial(self._store.store_sign_in, user_email, ticket, new)
        return SignedIn(await effect.store(store, provisional=SignedIn(None, boxes)), boxes)


async def log_in(
    account: MemberAccount, email: str, password: str, fingerprint: str
) -> tuple[str, Sequence[MemberBox]]:
    """Returns the token and the boxes of a session that is alive. Its cookies are those of `account`.

    Raises WrongCredentialsError, AccountLockedError and BoxSilentError.
    """
    logged_in = await account.login(email, password, fingerprint)
    token = await account.enter(logged_in.token, fingerprint, next(iter(logged_in.boxes), None))
    try:
        boxes = await account.boxes()
    except BoxSilentError:  # requested again: the login would be lost, and logins are limited
        boxes = await account.boxes()
    if boxes is None:
        raise BoxSilentError("AimHarder took the login, and then knew nothing of the session")
    return token, boxes or logged_in.boxes
