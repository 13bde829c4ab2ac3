"""Lists a box's classes with the member's own AimHarder session."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from async_lru import alru_cache

from prebooking.concurrency.rate_limit import RateLimiter
from prebooking.domain.classes import MemberBox, TimetabledClass, domains_of
from prebooking.domain.errors import BoxNumberUnknownError, SessionEndedError, SessionMissingError, TooOftenError
from prebooking.domain.ports import Clock, Gyms, MemberAccount, SessionStore
from prebooking.domain.prebooking import Box, Session
from prebooking.usecases.sessions.refresh import SessionRefresher

_REFRESH_S = 4.0
_KEPT_S = 5.0
_KEPT = 512  # cached answers, of a few KB each
_MOST_PER_MINUTE = 60  # requests to AimHarder for one user


@dataclass(frozen=True, slots=True)
class ClassListing:
    box: Box
    classes: Sequence[TimetabledClass]


class ClassListings:
    """Caches AimHarder's answers for five seconds, each user's apart. Equal requests at the same time share one."""

    def __init__(self, store: SessionStore, gyms: Gyms, sessions: SessionRefresher, clock: Clock) -> None:
        self._store = store
        self._gyms = gyms
        self._sessions = sessions
        self._pace = RateLimiter(clock, most=_MOST_PER_MINUTE, per_s=60)
        self.session_and_boxes = alru_cache(maxsize=_KEPT, ttl=_KEPT_S)(self._session_and_boxes)
        self.classes = alru_cache(maxsize=_KEPT, ttl=_KEPT_S)(self._classes)
        self._subdomains: OrderedDict[str, frozenset[str]] = OrderedDict()

    async def boxes(self, user_email: str) -> Sequence[MemberBox]:
        """Returns the user's boxes.

        Raises SessionMissingError, SessionEndedError, BoxSilentError, TooOftenError, and as the store.
        """
        _, boxes = await self.session_and_boxes(user_email)
        return boxes

    def is_known_not_member(self, user_email: str, subdomain: str) -> bool:
        """Returns whether AimHarder's last list of the user's boxes was without this one. Sends no request."""
        return subdomain not in self._subdomains.get(user_email, {subdomain})

    async def _classes(self, user_email: str, subdomain: str, aimharder_id: str | None, day: str) -> ClassListing:
        """Returns the classes. `aimharder_id` None: taken from the list of the user's boxes.

        Raises as `boxes`, and BoxNumberUnknownError.
        """
        session, boxes = await self.session_and_boxes(user_email)
        named = next((box for box in boxes if box.subdomain == subdomain), None)
        number = aimharder_id or (named.aimharder_id if named else None)
        if number is None:
            raise BoxNumberUnknownError(subdomain)
        self._admit(user_email)
        box = Box(subdomain=subdomain, aimharder_id=number, domain=named.domain if named else None)
        async with self._gyms.visit(box, session) as gym:
            return ClassListing(box, await gym.timetable(day))

    def _admit(self, user_email: str) -> None:
        if wait_s := self._pace.admit(user_email):
            raise TooOftenError(_MOST_PER_MINUTE, wait_s)

    async def _session_and_boxes(self, user_email: str) -> tuple[Session, Sequence[MemberBox]]:
        """Returns a living session, and the user's boxes. A listing itself does not show that a session is dead."""
        session, boxes = await self._ask(user_email)
        if (domains := domains_of(boxes)) != session.box_domains:
            await self._store.note_box_domains(session.id, domains)
        self._subdomains[user_email] = frozenset(box.subdomain for box in boxes)
        if len(self._subdomains) > _KEPT:
            self._subdomains.popitem(last=False)
        return session, boxes

    async def _ask(self, user_email: str) -> tuple[Session, Sequence[MemberBox]]:
        stored = await self._store.read_session(user_email)
        if stored is None:
            raise SessionMissingError
        session = stored.readable
        if session is None:
            raise SessionEndedError
        self._admit(user_email)
        async with self._gyms.account(session.cookies) as account:
            boxes = await account.boxes()
            if boxes is not None:
                return session, boxes
            return await self._ask_refreshed(account, user_email, session)

    async def _ask_refreshed(
        self, account: MemberAccount, user_email: str, session: Session
    ) -> tuple[Session, Sequence[MemberBox]]:
        refreshed = await self._sessions.refresh(account, user_email, session, within_s=_REFRESH_S)
        boxes = await account.boxes() if refreshed else None
        if refreshed is None or boxes is None:
            raise SessionEndedError
        return refreshed, boxes
