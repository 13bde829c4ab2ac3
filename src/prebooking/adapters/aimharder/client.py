"""AimHarder over HTTP/1.1, as its own web page speaks to it. One isolated client an execution."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from prebooking.adapters.aimharder.account import AimHarderAccount
from prebooking.adapters.aimharder.gym import AimHarderGym
from prebooking.adapters.aimharder.hosts import Hosts
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.adapters.aimharder.session_client import SessionClient, http_client
from prebooking.domain.cookies import Cookie
from prebooking.domain.prebooking import Box, Session


class AimHarder:
    """See prebooking.domain.ports.Gyms. `now` is the opening's clock, which stamps the shots."""

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
        async with http_client(self._proxy, self._resolver) as client:
            yield AimHarderGym(SessionClient(client, session.cookies), self._hosts, box, self._now)

    @asynccontextmanager
    async def account(self, cookies: Sequence[Cookie]) -> AsyncIterator[AimHarderAccount]:
        async with http_client(self._proxy, self._resolver) as client:
            yield AimHarderAccount(SessionClient(client, cookies), self._hosts)
