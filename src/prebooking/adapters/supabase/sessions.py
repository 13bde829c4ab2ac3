"""The part of the store with the users' sessions, whose secrets are encrypted and decrypted here."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError

from prebooking.adapters.supabase.capabilities import CAPABILITIES
from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.adapters.supabase.session_vault import SessionVault, UnreadableError
from prebooking.concurrency.priority_semaphore import Priority
from prebooking.domain.cookies import Cookie, Domain, domain_of
from prebooking.domain.prebooking import Session
from prebooking.domain.sessions import SessionAnswer, SessionCheck, SessionState, StoredSession
from prebooking.domain.store_outcomes import StoreOutcome

_log = structlog.get_logger()

_IN_A_HEADER = re.compile(r"[ -:<-~]*")  # ASCII, without a semicolon or a line's end

_SESSION = TypeAdapter(Session)
STATE = TypeAdapter(SessionState)
_LOOKS = TypeAdapter(list[SessionCheck])


class SupabaseSessions:
    """See prebooking.domain.ports.SessionStore."""

    def __init__(self, rpc: SupabaseRpc, vault: SessionVault) -> None:
        self._rpc = rpc
        self._vault = vault

    async def lease_session(self, user_email: str, token: str, lease: UUID, *, lease_s: float) -> SessionAnswer:
        answer = await self._rpc.call(
            "lease_session",
            priority=Priority.PREPARE,
            user_email=user_email,
            token=token,
            lease=lease,
            lease_seconds=lease_s,
            capabilities=CAPABILITIES,
        )
        return SessionAnswer(outcome=StoreOutcome(answer["outcome"]), session=self._read(answer["session"]))

    async def save_session(
        self,
        session: Session,
        lease: UUID,
        *,
        token: str | None = None,
        cookies: Sequence[Cookie] | None = None,
        error: str | None = None,
    ) -> SessionAnswer:
        answer = await self._rpc.call(
            "save_session",
            priority=Priority.PREPARE,
            id=session.id,
            lease=lease,
            old_token=session.stored_token,
            new_token=None if token is None else seal_token(self._vault, token, session.user_email),
            cookies=None if cookies is None else seal_cookies(self._vault, as_rows(cookies), session.user_email),
            error=error,
        )
        return SessionAnswer(outcome=StoreOutcome(answer["outcome"]), session=self._read(answer["session"]))

    async def take_session_looks(self) -> Sequence[SessionCheck]:
        return _LOOKS.validate_python((await self._rpc.call("take_session_looks", capabilities=CAPABILITIES))["looks"])

    async def note_session_look(
        self, prebooking_ids: Sequence[UUID], *, alive: bool, session: str, message: str, reason: str | None = None
    ) -> None:
        ids = [str(prebooking_id) for prebooking_id in prebooking_ids]
        await self._rpc.call(
            "note_session_look", prebooking_ids=ids, alive=alive, session=session, message=message, reason=reason
        )

    async def admit_check(self, user_email: str, token: UUID, *, max_per_minute: int) -> float:
        answer = await self._rpc.call(
            "admit_session_check", user_email=user_email, token=token, max_per_minute=max_per_minute
        )
        return 0.0 if answer["outcome"] == StoreOutcome.ADMITTED else float(answer["retry_after"])

    async def connect_session(
        self,
        user_email: str,
        *,
        token: str,
        cookies: Sequence[Cookie],
        fingerprint: str,
        box_domains: Mapping[str, Domain],
    ) -> SessionState:
        answer = await self._rpc.call(
            "connect_session",
            user_email=user_email,
            token=seal_token(self._vault, token, user_email),
            cookies=seal_cookies(self._vault, as_rows(cookies), user_email),
            fingerprint=fingerprint,
            box_domains=dict(box_domains),
        )
        return STATE.validate_python(answer["state"])

    async def read_session(self, user_email: str) -> StoredSession | None:
        answer = await self._rpc.call("read_session", user_email=user_email)
        if answer["outcome"] == StoreOutcome.NO_SESSION:
            return None
        state = STATE.validate_python(answer["state"])
        return StoredSession(state=state, session=self._read(answer["session"]))

    async def note_box_domains(self, session_id: UUID, domains: Mapping[str, Domain]) -> None:
        await self._rpc.call("note_box_domains", id=session_id, box_domains=dict(domains))

    async def disconnect_session(self, user_email: str) -> None:
        await self._rpc.call("disconnect_session", user_email=user_email)

    def _read(self, found: Mapping[str, Any] | None) -> Session | None:
        """Returns the stored session. One that can't be decrypted counts as none, unless it can be signed in again."""
        if found is None:
            return None
        try:
            token = open_token(self._vault, found["token"], found["user_email"])
            cookies = _as_cookies(open_cookies(self._vault, found["cookies"], found["user_email"]))
            plain = {"token": token, "stored_token": found["token"], "cookies": cookies}
            return _as_session(found, plain)
        except UnreadableError as exc:
            reason = str(exc)
        except (KeyError, TypeError, ValueError, ValidationError):
            reason = "its cookies are not of the form [{name, value}]"
        _log.warning("session_unreadable", session_id=str(found["id"]), reason=reason)
        if not found.get("remembered"):
            return None
        unread = {"token": "", "stored_token": found["token"], "cookies": ()}
        return _as_session(found, unread)


def _as_session(found: Mapping[str, Any], secrets: Mapping[str, Any]) -> Session:
    renamed = {"fingerprint": found["fingerprint"] or "", "rotation_unconfirmed": found.get("token_doubtful", False)}
    return _SESSION.validate_python({**found, **secrets, **renamed})


# A token is a string, sealed or not; cookies are a list, and sealed a string.


def seal_token(vault: SessionVault, token: str, user_email: str) -> str:
    return vault.seal(token, user_email, "token")


def open_token(vault: SessionVault, stored: str, user_email: str) -> str:
    """Raises UnreadableError."""
    return vault.open(stored, user_email, "token")


def seal_cookies(vault: SessionVault, cookies: Any, user_email: str) -> Any:
    """Encrypts any JSON, so that unreadable cookies are kept, too."""
    return cookies if vault.key_id is None else vault.seal(json.dumps(cookies), user_email, "cookies")


def open_cookies(vault: SessionVault, stored: Any, user_email: str) -> Any:
    """Raises UnreadableError."""
    if not isinstance(stored, str):
        vault.refuse_plain("cookies")
        return stored
    plain = vault.open(stored, user_email, "cookies")
    return plain if plain is stored else json.loads(plain)


def _as_cookies(rows: Any) -> tuple[Cookie, ...]:
    """Parses [{name, value}], as the web application writes them; cookies of aimharder.es have a domain, too.

    Raises UnreadableError.
    """
    cookies = tuple(Cookie(str(row["name"]), str(row["value"]), domain_of(str(row.get("domain")))) for row in rows)
    if not all(_IN_A_HEADER.fullmatch(part) for cookie in cookies for part in cookie):
        raise UnreadableError("its cookies have characters that no header may have")
    return cookies


def as_rows(cookies: Sequence[Cookie]) -> list[dict[str, str]]:
    return [
        {"name": name, "value": value} | ({} if domain is Domain.COM else {"domain": str(domain)})
        for name, value, domain in cookies
    ]
