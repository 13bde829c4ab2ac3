"""AimHarder behind circuit breakers: one for each box, for each account host, and for the login host."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from prebooking.concurrency.circuit_breaker import CircuitBreaker, CircuitBreakers
from prebooking.domain.classes import Listing, MemberBox, TimetabledClass
from prebooking.domain.cookies import Cookie, Domain, home_of
from prebooking.domain.giving_back import CancelReply
from prebooking.domain.ports import Gym, Gyms, HeldRequest, MemberAccount
from prebooking.domain.prebooking import BookingRequest, Box, Session
from prebooking.domain.sessions import NewTokens
from prebooking.domain.sign_ins import LoggedIn


class GuardedAccount:
    """See prebooking.domain.ports.MemberAccount.

    While its host's circuit breaker is open, requests raise BoxSilentError.
    """

    def __init__(
        self,
        account: MemberAccount,
        account_hosts: Mapping[Domain, CircuitBreaker],
        login_host: CircuitBreaker,
        *,
        bypasses_breakers: bool = False,
    ) -> None:
        self._account = account
        self._account_hosts = account_hosts
        self._login_host = login_host
        self._bypass = bypasses_breakers

    @property
    def _account_host(self) -> CircuitBreaker:
        return self._account_hosts[home_of(self._account.cookies)]

    async def whoami(self) -> bool:
        return await self._account_host.call(self._account.whoami, bypass=self._bypass)

    async def boxes(self) -> Sequence[MemberBox] | None:
        return await self._account_host.call(self._account.boxes, bypass=self._bypass)

    async def login(self, email: str, password: str, fingerprint: str) -> LoggedIn:
        return await self._login_host.call(
            lambda: self._account.login(email, password, fingerprint), bypass=self._bypass
        )

    async def enter(self, token: str, fingerprint: str, box: Box | None) -> str:
        host = self._account_hosts[(box and box.domain) or Domain.COM]
        return await host.call(lambda: self._account.enter(token, fingerprint, box), bypass=True)

    async def refresh(self, token: str, fingerprint: str) -> NewTokens | None:
        return await self._account_host.call(lambda: self._account.refresh(token, fingerprint), bypass=self._bypass)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        return self._account.cookies

    def use(self, cookies: Sequence[Cookie]) -> None:
        self._account.use(cookies)


class GuardedGym(GuardedAccount):
    """See prebooking.domain.ports.Gym."""

    def __init__(
        self,
        gym: Gym,
        box: CircuitBreaker,
        account_hosts: Mapping[Domain, CircuitBreaker],
        login_host: CircuitBreaker,
        *,
        bypasses_breakers: bool = False,
    ) -> None:
        super().__init__(gym, account_hosts, login_host, bypasses_breakers=bypasses_breakers)
        self._gym = gym
        self._box = box

    @property
    def is_silent(self) -> bool:
        """Whether one of its hosts has not answered recently: an execution that only waits needs no permit."""
        return self._box.is_open or self._account_host.is_open

    @property
    def would_reject(self) -> bool:
        """Whether a request to one of its hosts would fail at once."""
        return not self._bypass and (self._box.rejects or self._account_host.rejects)

    def bypassing_breakers(self) -> "GuardedGym":
        """Returns the same gym without circuit breakers, for executions close to their opening."""
        return GuardedGym(self._gym, self._box, self._account_hosts, self._login_host, bypasses_breakers=True)

    async def listing(self, day: str, family_id: str) -> Listing:
        return await self._box.call(lambda: self._gym.listing(day, family_id), bypass=self._bypass)

    async def timetable(self, day: str) -> Sequence[TimetabledClass]:
        return await self._box.call(lambda: self._gym.timetable(day), bypass=self._bypass)

    def hold(self, request: BookingRequest) -> HeldRequest:
        return self._gym.hold(request)

    async def give_back(self, reservation_id: str, family_id: str, *, late: bool) -> CancelReply:
        return await self._box.call(lambda: self._gym.give_back(reservation_id, family_id, late=late), bypass=True)


class GuardedGyms:
    """See prebooking.domain.ports.Gyms."""

    def __init__(self, gyms: Gyms, circuits: CircuitBreakers) -> None:
        self._gyms = gyms
        self._circuits = circuits
        self._account_hosts = {domain: CircuitBreaker(circuits.clock) for domain in Domain}
        self._login_host = CircuitBreaker(circuits.clock)

    @property
    def account_host_would_reject(self) -> bool:
        """Whether requests to the account host of most members would fail at once."""
        return self._account_hosts[Domain.COM].rejects

    @asynccontextmanager
    async def visit(self, box: Box, session: Session) -> AsyncIterator[GuardedGym]:
        async with self._gyms.visit(box, session) as gym:
            yield GuardedGym(gym, self._circuits.of(box.host), self._account_hosts, self._login_host)

    @asynccontextmanager
    async def account(
        self, cookies: Sequence[Cookie], *, bypasses_breakers: bool = False
    ) -> AsyncIterator[GuardedAccount]:
        async with self._gyms.account(cookies) as account:
            yield GuardedAccount(account, self._account_hosts, self._login_host, bypasses_breakers=bypasses_breakers)
