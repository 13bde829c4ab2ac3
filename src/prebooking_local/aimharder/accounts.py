"""Members and their sessions: passwords, cookies, tokens, and what ends a session."""

import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from prebooking_local.aimharder.moments import SECOND

TOKEN_LIFE_S = 90 * 86_400


class Relative(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    name: str = "Familiar"


class Member(BaseModel):
    """A person with an account. The limits are counted in reservations held, family included."""

    model_config = ConfigDict(extra="forbid")

    email: str
    password: str = "secret"
    name: str = "Socio"
    id: int = Field(default_factory=lambda: 10_000 + secrets.randbelow(90_000))
    language: Literal["es", "ca", "en"] = "es"
    family: list[Relative] = []
    unpaid: bool = False
    credits: int | None = None
    class_limit: int | None = None
    contract_limit: int | None = None


class SessionRules(BaseModel):
    """The rules of accounts on which the records contradict each other, or are silent: each can be switched."""

    model_config = ConfigDict(extra="forbid")

    login_failure: Literal[401, 200] = 401
    login_says: Literal["key", "words"] = "key"  # of a wrong password: LOGIN_ERROR_LOGIN, or a sentence
    lock_after: int | None = Field(default=None, ge=1)  # so many wrong passwords lock the account, for whoever comes
    lock_answer: Literal[401, 200, 429] = 401  # the first two in words, one of them beside the key of a wrong password
    lock_minutes: float = 15
    one_device: bool = False  # a login with a fingerprint that is new ends the sessions of the others
    dead_whoami: Literal["empty", "logout"] = "empty"
    # a session logged in is dead at the boxes until /setrefresh was visited, for the box that `redirect` names or all
    needs_setrefresh: bool | Literal["for each box"] = False
    session_minutes: float | None = None  # counted from the login or the last refresh
    refresh_renews_cookie: bool = True  # tokenUpdate gives a new amhrdrauth, and the old one is dead
    stale_token_kills: bool = False  # a refresh with an old token ends the session


@dataclass(frozen=True, slots=True)
class Renewal:
    """A token that the gym gave out, at the login or by a refresh, and the cookie that lived beside it."""

    token: str
    auth: str
    at_ns: int


@dataclass(slots=True)
class Session:
    member: Member
    fingerprint: str
    token: str
    auth: str
    renewed_ns: int
    admitted: bool  #: at every box
    admitted_at: set[str] = field(default_factory=set)  #: boxes, where that is not so
    php_ids: list[str] = field(default_factory=list)
    dies_ns: int | None = None
    ended_by: Literal["the gym", "a stale token"] | None = None
    renewals: list[Renewal] = field(default_factory=list)  #: all of them; the last one is in force

    def renewed(self, now_ns: int) -> None:
        self.renewed_ns = now_ns
        self.renewals.append(Renewal(self.token, self.auth, now_ns))

    def as_json(self) -> dict[str, Any]:
        """Returns the session for the tests that judge its life."""
        return {
            "member": self.member.email,
            "renewals": [asdict(renewal) for renewal in self.renewals],
            "ended_ns": self.dies_ns,
            "ended_by": self.ended_by,
        }

    def cookies(self) -> list[dict[str, str]]:
        """Returns the cookies as the web application stores them."""
        jar = {"amhrdrauth": self.auth, **balancer_cookies()}
        if self.php_ids:
            jar["PHPSESSID"] = self.php_ids[-1]
        return [{"name": name, "value": value} for name, value in jar.items()]


def balancer_cookies() -> dict[str, str]:
    """Returns the load balancer's cookies, which are others on each answer."""
    value = secrets.token_urlsafe(72)
    return {"AWSALB": value, "AWSALBCORS": value}


class Accounts:
    def __init__(self) -> None:
        self.rules = SessionRules()
        self.members: dict[str, Member] = {}
        self._by_cookie: dict[str, Session] = {}  # also cookies that are dead: the ledger names their member
        self._by_token: dict[str, Session] = {}
        self._wrong_passwords: dict[str, int] = {}  # since the last right one, by e-mail
        self._locked_until_ns: dict[str, int] = {}

    def put_member(self, member: Member) -> None:
        self.members[member.email.lower()] = member
        for session in self.sessions(member.email):
            session.member = member

    def sessions(self, email: str) -> list[Session]:
        unique = {id(s): s for s in self._by_cookie.values() if s.member.email.lower() == email.lower()}
        return list(unique.values())

    def stored_session(self, email: str, now_ns: int) -> Session:
        """Returns a session as a browser has it after a while: valid at every box."""
        session = self._open_session(self._member(email), now_ns, fingerprint=secrets.token_hex(25))
        session.admitted = True
        session.php_ids.append(secrets.token_hex(13))
        return session

    def log_in(
        self, username: str, password: str, fingerprint: str, now_ns: int
    ) -> Session | Literal["wrong", "locked"]:
        email = username.lower()
        if now_ns < self._locked_until_ns.get(email, 0):
            return "locked"
        member = self.members.get(email)
        if member is None or not secrets.compare_digest(member.password.encode(), password.encode()):
            return self._wrong(email, now_ns)
        self._wrong_passwords.pop(email, None)
        others = [session for session in self.sessions(email) if session.fingerprint != fingerprint]
        if self.rules.one_device and others == self.sessions(email):
            for session in others:
                self._end(session, now_ns, "the gym")
        return self._open_session(member, now_ns, fingerprint=fingerprint)

    def _wrong(self, email: str, now_ns: int) -> Literal["wrong", "locked"]:
        wrong = self._wrong_passwords[email] = self._wrong_passwords.get(email, 0) + 1
        if self.rules.lock_after is None or wrong < self.rules.lock_after:
            return "wrong"
        del self._wrong_passwords[email]
        self._locked_until_ns[email] = now_ns + int(self.rules.lock_minutes * 60 * SECOND)
        return "locked"

    def owner(self, auth: str) -> Session | None:
        """Returns the member whose cookie this is, or was."""
        return self._by_cookie.get(auth)

    def living(self, auth: str, now_ns: int) -> Session | None:
        session = self.owner(auth)
        if session is None or session.auth != auth:
            return None
        minutes = self.rules.session_minutes
        expired = minutes is not None and now_ns >= session.renewed_ns + int(minutes * 60 * SECOND)
        killed = session.dies_ns is not None and now_ns >= session.dies_ns
        return None if expired or killed else session

    def admit(self, token: str, box: str | None) -> Session | None:
        """Visits /setrefresh after a login; `box` is the one that it leads to."""
        session = self._by_token.get(token)
        if session is None or session.token != token:
            return None
        if self.rules.needs_setrefresh != "for each box":
            session.admitted = True
        elif box is not None:
            session.admitted_at.add(box)
        return session

    def refresh(self, session: Session, token: str, now_ns: int) -> bool:
        if token != session.token:
            if self.rules.stale_token_kills:
                self._end(session, now_ns, "a stale token")
            return False
        session.token = self._new_token(session.member, now_ns)
        self._by_token[session.token] = session
        if self.rules.refresh_renews_cookie:
            session.auth = secrets.token_hex(32)
            self._by_cookie[session.auth] = session
        session.renewed(now_ns)
        return True

    def kill(self, email: str, at_ns: int) -> int:
        """Ends all sessions of a member at that instant. Returns how many there were."""
        sessions = self.sessions(self._member(email).email)
        for session in sessions:
            self._end(session, at_ns, "the gym")
        return len(sessions)

    def all_sessions(self) -> list[Session]:
        """Returns all sessions, also those that have ended."""
        return list({id(session): session for session in self._by_token.values()}.values())

    @staticmethod
    def _end(session: Session, at_ns: int, by: Literal["the gym", "a stale token"]) -> None:
        """Ends a session; one that has ended stays as it is."""
        if session.dies_ns is None or at_ns < session.dies_ns:
            session.dies_ns, session.ended_by = at_ns, by

    def _member(self, email: str) -> Member:
        member = self.members.get(email.lower())
        if member is None:
            raise LookupError(f"no member {email!r}: put them up first")
        return member

    def _open_session(self, member: Member, now_ns: int, *, fingerprint: str) -> Session:
        session = Session(
            member=member,
            fingerprint=fingerprint,
            token=self._new_token(member, now_ns),
            auth=secrets.token_hex(32),
            renewed_ns=now_ns,
            admitted=not self.rules.needs_setrefresh,
        )
        session.renewed(now_ns)
        self._by_cookie[session.auth] = session
        self._by_token[session.token] = session
        return session

    @staticmethod
    def _new_token(member: Member, now_ns: int) -> str:
        return f"{member.id}|{now_ns // SECOND + TOKEN_LIFE_S}|{secrets.token_hex(16)}"
