"""A member at AimHarder's account host: whoami, login, and the refresh of the session's token."""

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus

from prebooking.adapters.aimharder.answers import StatusError, read_new_token, read_whoami
from prebooking.adapters.aimharder.classes import read_boxes
from prebooking.adapters.aimharder.hosts import Hosts
from prebooking.adapters.aimharder.login import read_entrance, read_login
from prebooking.adapters.aimharder.session_client import QUESTION_S, SessionClient, json_of_200
from prebooking.domain.classes import MemberBox
from prebooking.domain.cookies import Cookie, home_of
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.prebooking import Box
from prebooking.domain.sessions import NewTokens
from prebooking.domain.sign_ins import LoggedIn


class AimHarderAccount:
    """See prebooking.domain.ports.MemberAccount."""

    def __init__(self, client: SessionClient, hosts: Hosts) -> None:
        self._client = client
        self._hosts = hosts

    def use(self, cookies: Sequence[Cookie]) -> None:
        self._client.use(cookies)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        return self._client.cookies

    @property
    def _url(self) -> str:
        return self._hosts.account(home_of(self.cookies))

    async def whoami(self) -> bool:
        return await self._client.ask(read_whoami, "GET", f"{self._url}/api/whoami")

    async def boxes(self) -> tuple[MemberBox, ...] | None:
        return await self._client.ask(read_boxes, "GET", f"{self._url}/api/whoami")

    async def login(self, email: str, password: str, fingerprint: str) -> LoggedIn:
        said = {"username": email, "password": password, "fingerprint": fingerprint, "iniframe": 0}
        url = f"{self._hosts.login_url}/api/login"
        return await self._client.ask_once(read_login, "POST", url, any_status=True, said=said)

    async def enter(self, token: str, fingerprint: str, box: Box | None) -> str:
        query = {"token": token, "fingerprint": fingerprint}
        url = f"{self._hosts.account(box.domain if box else None)}/setrefresh"
        if box is None:
            return await self._client.ask_once(_entered, "GET", url, any_status=True, params=query) or token
        home = self._hosts.box(box)
        params = {"redirect": home} | query
        entered = await self._client.ask_once(_entered, "GET", url, any_status=True, params=params)
        # Some boxes are said to require a cookie of their own, which this page sets. Most do not.
        with suppress(BoxSilentError):
            await self._client.answer(_entered, "GET", f"{home}/schedule", within_s=QUESTION_S, any_status=True)
        return entered or token

    async def refresh(self, token: str, fingerprint: str) -> NewTokens | None:
        form = {"token": token, "ciclo": "1", "fingerprint": fingerprint}
        url = f"{self._url}/api/tokenUpdate"
        new = await self._client.ask_once(json_of_200(read_new_token), "POST", url, form=form)
        return None if new is None else NewTokens(new, self.cookies)


def _entered(status: int, body: bytes) -> str | None:
    """A page, or the way to the box, which nobody follows; it has done its work by then. Some have no such page."""
    if status >= HTTPStatus.BAD_REQUEST and status not in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise StatusError(status)
    return read_entrance(body)
