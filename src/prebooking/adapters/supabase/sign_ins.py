"""The part of the store with sign-ins to AimHarder, whose passwords are encrypted and decrypted here."""

from uuid import UUID

import structlog

from prebooking.adapters.supabase.capabilities import CAPABILITIES
from prebooking.adapters.supabase.session_vault import SessionVault, UnreadableError
from prebooking.adapters.supabase.sessions import STATE, SupabaseSessions, as_rows, seal_cookies, seal_token
from prebooking.concurrency.priority_semaphore import Priority
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import StoreRefusedError
from prebooking.domain.sessions import SessionAnswer
from prebooking.domain.sign_ins import Admission, NewSession, SignInLease, StoredSignIn
from prebooking.domain.store_outcomes import StoreOutcome

_log = structlog.get_logger()


class SupabaseSignIns(SupabaseSessions):
    """See prebooking.domain.ports.SignInStore."""

    async def admit_sign_in(self, user_email: str, account_email: str, token: UUID, *, fingerprint: str) -> Admission:
        answer = await self._rpc.call(
            "admit_sign_in", user_email=user_email, account_email=account_email, token=token, fingerprint=fingerprint
        )
        if answer["outcome"] == StoreOutcome.TOO_MANY:
            return Admission(retry_after=float(answer["retry_after"]))
        return Admission(ticket=int(answer["ticket"]), fingerprint=str(answer["fingerprint"]))

    async def store_sign_in(self, user_email: str, ticket: int, new: NewSession) -> StoredSignIn:
        answer = await self._rpc.call(
            "store_sign_in",
            user_email=user_email,
            ticket=ticket,
            account_email=new.account_email,
            token=seal_token(self._vault, new.token, user_email),
            cookies=seal_cookies(self._vault, as_rows(new.cookies), user_email),
            fingerprint=new.fingerprint,
            password=None if new.password is None else seal_password(self._vault, new.password, user_email),
            box_domains=dict(new.box_domains),
        )
        state = None if answer["state"] is None else STATE.validate_python(answer["state"])
        return StoredSignIn(newest=answer["outcome"] == StoreOutcome.STORED, state=state)

    async def lease_sign_in(
        self, user_email: str, token: str | None, lease: UUID, attempt: UUID, *, lease_s: float
    ) -> SignInLease:
        answer = await self._rpc.call(
            "lease_sign_in",
            priority=Priority.PREPARE,
            user_email=user_email,
            token=token,
            lease=lease,
            lease_seconds=lease_s,
            attempt=attempt,
            capabilities=CAPABILITIES,
        )
        if answer["outcome"] != StoreOutcome.LEASED:
            return SignInLease(outcome=StoreOutcome(answer["outcome"]), session=self._read(answer["session"]))
        generation = int(answer["generation"])
        try:
            password = open_password(self._vault, answer["password"], answer["sealed_for"])
        except UnreadableError as exc:
            _log.warning("password_unreadable", reason=str(exc))
            await self.end_sign_in_again(user_email, generation, lease, refused=False)
            return SignInLease(outcome=StoreOutcome.NOT_REMEMBERED)
        return SignInLease(
            outcome=StoreOutcome.LEASED,
            generation=generation,
            account_email=answer["account_email"],
            password=password,
            fingerprint=answer["fingerprint"],
        )

    async def save_sign_in_again(
        self, user_email: str, generation: int, lease: UUID, *, token: str, cookies: tuple[Cookie, ...]
    ) -> SessionAnswer:
        answer = await self._rpc.call(
            "save_sign_in_again",
            priority=Priority.PREPARE,
            user_email=user_email,
            generation=generation,
            lease=lease,
            token=seal_token(self._vault, token, user_email),
            cookies=seal_cookies(self._vault, as_rows(cookies), user_email),
        )
        return SessionAnswer(outcome=StoreOutcome(answer["outcome"]), session=self._read(answer["session"]))

    async def end_sign_in_again(self, user_email: str, generation: int, lease: UUID, *, refused: bool) -> SessionAnswer:
        answer = await self._rpc.call(
            "end_sign_in_again",
            priority=Priority.PREPARE,
            user_email=user_email,
            generation=generation,
            lease=lease,
            refused=refused,
        )
        return SessionAnswer(outcome=StoreOutcome(answer["outcome"]), session=self._read(answer["session"]))


def seal_password(vault: SessionVault, password: str, user_email: str) -> str:
    """Encrypts the password. Raises StoreRefusedError if it would be stored unencrypted."""
    if vault.key_id is None:
        raise StoreRefusedError("a password can't be remembered without a key that encrypts")
    return vault.seal(password, user_email, "password")


def open_password(vault: SessionVault, stored: str, user_email: str) -> str:
    """Raises UnreadableError."""
    return vault.open(stored, user_email, "password")
