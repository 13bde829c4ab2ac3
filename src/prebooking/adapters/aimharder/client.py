"""AimHarder over HTTP/1.1, with the requests of its own web page. Each execution has a client of its own."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing

from prebooking.adapters.aimharder.account import AimHarderAccount
from prebooking.adapters.aimharder.gym import AimHarderGym
from prebooking.adapters.aimharder.hosts import Hosts
from prebooking.adapters.aimharder.resolver import PinnedResolver, Resolver
from prebooking.adapters.aimharder.session_client import SessionClient
from prebooking.adapters.http11.client import HttpClient
from prebooking.adapters.tls import trusted
from prebooking.domain.cookies import Cookie
from prebooking.domain.prebooking import Box, Session


class AimHarder:
    """See prebooking.domain.ports.Gyms. `now`: the clock by which openings and requests are timed."""

    def __init__(
        self,
        box_url: str,
        account_url: str,
        proxy: str | None,
        now: Callable[[], float],
        resolver: Resolver | None = None,
        login_url: str | None = None,
    ) -> None:
        self._hosts = Hosts(box_url.rstrip("/"), account_url.rstrip("/"), (login_url or account_url).rstrip("/"))
        self._proxy = proxy
        self._now = now
        self._resolver = resolver or Resolver()

    @asynccontextmanager
    async def visit(self, box: Box, session: Session) -> AsyncIterator[AimHarderGym]:
        with closing(self._http()) as http:
            yield AimHarderGym(SessionClient(http, session.cookies), self._hosts, box, self._now)

    @asynccontextmanager
    async def account(self, cookies: Sequence[Cookie]) -> AsyncIterator[AimHarderAccount]:
        with closing(self._http()) as http:
            yield AimHarderAccount(SessionClient(http, cookies), self._hosts)

    def _http(self) -> HttpClient:
        return HttpClient(trusted(), self._proxy, PinnedResolver(self._resolver))
