"""AimHarder over HTTP/1.1, as its own web page speaks to it. One isolated client an execution."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx

from prebooking.adapters.aimharder.answers import (
    NOT_HERE,
    StatusError,
    read_listing,
    read_new_token,
    read_reply,
    read_whoami,
)
from prebooking.adapters.aimharder.classes import read_boxes, read_timetable
from prebooking.adapters.aimharder.cookies import Cookies
from prebooking.adapters.aimharder.held_http import Hold, held, holding_transport
from prebooking.adapters.aimharder.login import read_entrance, read_login
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.adapters.limited_body import ENCODING, read_limited
from prebooking.adapters.tls import trusted
from prebooking.domain.classes import MemberBox, TimetabledClass
from prebooking.domain.errors import BoxNotHereError, BoxSilentError, HostSilentError, NotSentError
from prebooking.domain.outcome import Kind, Reply
from prebooking.domain.ports import HeldRequest, Listing, LoggedIn, NewTokens
from prebooking.domain.prebooking import BookingRequest, Box, Session

_T = TypeVar("_T")

_QUESTION_S = 3.0  # a question that takes longer is not worth waiting for
_SHORTEST_SECRET = 8
_HOST = re.compile(r"(?:[a-z0-9-]{1,30}\.)?aimharder\.(?:com|es)")
# The identity of a browser: some gyms are said to refuse others.
_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "application/json, text/javascript, */*; q=0.01",
    "Accept-Encoding": ENCODING,
    "Accept-Language": "es-ES,es;q=0.9,en;q=0.8",
    "X-Requested-With": "XMLHttpRequest",
}


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
        self._box_url = box_url.rstrip("/")
        self._account_url = account_url.rstrip("/")
        self._login_url = (login_url or account_url).rstrip("/")
        self._proxy = proxy
        self._now = now
        self._resolver = resolver or Resolver()

    @asynccontextmanager
    async def visit(self, box: Box, session: Session) -> AsyncIterator["AimHarderGym"]:
        async with self._client() as client:
            yield AimHarderGym(client, self._box_url, self._account_url, self._login_url, box, session, self._now)

    @asynccontextmanager
    async def account(self, cookies: Sequence[tuple[str, str]]) -> AsyncIterator["AimHarderAccount"]:
        async with self._client() as client:
            yield AimHarderAccount(client, self._account_url, cookies, self._box_url, self._login_url)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=holding_transport(trusted(), self._proxy, self._resolver),
            headers=_HEADERS,
            # Cookies go as one literal header: a jar would add its own, and send one host's to another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=None,  # noqa: S113  # each wait has its own limit
            follow_redirects=False,
            trust_env=False,
        )


class AimHarderAccount:
    """See prebooking.domain.ports.Account."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        account_url: str,
        cookies: Sequence[tuple[str, str]],
        boxes_url: str,
        login_url: str,
    ) -> None:
        self._client = client
        self._account_url = account_url
        self._boxes_url = boxes_url
        self._login_url = login_url
        self._cookies = Cookies(cookies)

    def use(self, cookies: Sequence[tuple[str, str]]) -> None:
        self._cookies = Cookies(cookies)

    @property
    def cookies(self) -> tuple[tuple[str, str], ...]:
        return self._cookies.pairs()

    async def whoami(self) -> bool:
        return await self._ask(read_whoami, "GET", f"{self._account_url}/api/whoami")

    async def boxes(self) -> tuple[MemberBox, ...] | None:
        return await self._ask(read_boxes, "GET", f"{self._account_url}/api/whoami")

    async def login(self, email: str, password: str, fingerprint: str) -> LoggedIn:
        said = {"username": email, "password": password, "fingerprint": fingerprint, "iniframe": 0}
        return await self._once(read_login, "POST", f"{self._login_url}/api/login", any_status=True, json=said)

    async def enter(self, token: str, fingerprint: str, box: MemberBox | None) -> str:
        query = {"token": token, "fingerprint": fingerprint}
        url = f"{self._account_url}/setrefresh"
        if box is None:
            return await self._once(_entered, "GET", url, any_status=True, params=query) or token
        home = self._boxes_url.replace("{box}", box.subdomain)
        entered = await self._once(_entered, "GET", url, any_status=True, params={"redirect": home} | query)
        # Some boxes are said to want a cookie of their own, which this page gives. Without it most of them do.
        with suppress(BoxSilentError):
            await self._answer(_entered, "GET", f"{home}/schedule", within_s=_QUESTION_S, any_status=True)
        return entered or token

    async def refresh(self, token: str, fingerprint: str) -> NewTokens | None:
        form = {"token": token, "ciclo": "1", "fingerprint": fingerprint}
        url = f"{self._account_url}/api/tokenUpdate"
        new = await self._once(_json_of_200(read_new_token), "POST", url, data=form)
        return None if new is None else NewTokens(new, self.cookies)

    async def _once(self, read: Callable[[int, bytes], _T], method: str, url: str, **content: Any) -> _T:
        """Asks what can't be asked again: once it has left it is awaited, a question's limit is for the others.

        Raises NotSentError where it surely has not left.
        """
        patience = httpx.Timeout(None, connect=_QUESTION_S)
        try:
            return await self._answer(read, method, url, within_s=None, timeout=patience, **content)
        except BoxSilentError as exc:
            if isinstance(exc.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
                raise NotSentError(str(exc)) from exc
            raise

    async def _ask(self, read: Callable[[Any], _T], method: str, url: str, **content: Any) -> _T:
        return await self._answer(_json_of_200(read), method, url, within_s=_QUESTION_S, **content)

    async def _answer(
        self,
        read: Callable[[int, bytes], _T],
        method: str,
        url: str,
        *,
        within_s: float | None,
        any_status: bool = False,
        **content: Any,
    ) -> _T:
        """What `read` makes of status and body, which raises ValueError where they don't tell: then BoxSilentError."""
        try:
            async with asyncio.timeout(within_s):
                status, body, elsewhere = await self._send(method, url, headers=self._headers(url), **content)
            if status in NOT_HERE and not any_status:
                raise BoxNotHereError(f"{url}: HTTP {status}{elsewhere and f' to {elsewhere}'}")
            return read(status, body)
        # The exception's text may quote a header: its name says enough.
        except (httpx.NetworkError, httpx.TimeoutException, TimeoutError) as exc:
            raise HostSilentError(f"{url}: {type(exc).__name__}") from exc
        except StatusError as exc:
            raise BoxSilentError(f"{url}: {exc}") from exc
        except (httpx.HTTPError, ValueError, RecursionError) as exc:
            raise BoxSilentError(f"{url}: {type(exc).__name__}") from exc

    async def _send(self, method: str, url: str, **content: Any) -> tuple[int, bytes, str]:
        """Status, body, and the host that a redirect names."""
        sent = [value for _, value in self.cookies]
        async with self._client.stream(method, url, **content) as response:
            # First, since they count though the body may break off.
            for header in response.headers.get_list("set-cookie"):
                self._cookies.take(header, host=response.url.host, path=response.url.path)
            return response.status_code, await read_limited(response), _redirected_to(response, sent)

    def _headers(self, url: str) -> dict[str, str]:
        origin = httpx.URL(url).copy_with(raw_path=b"/")
        cookies = self._cookies.header()
        said = {"Cookie": cookies} if cookies else {}
        return said | {"Origin": str(origin).rstrip("/"), "Referer": f"{origin}schedule"}


def _json_of_200(read: Callable[[Any], _T]) -> Callable[[int, bytes], _T]:
    def read_answer(status: int, body: bytes) -> _T:
        if status != httpx.codes.OK:
            raise StatusError(status)
        return read(json.loads(body))

    return read_answer


def _entered(status: int, body: bytes) -> str | None:
    """A page, or the way to the box, which nobody follows; it has done its work by then. Some have no such page."""
    if status >= httpx.codes.BAD_REQUEST and status not in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise StatusError(status)
    return read_entrance(body)


class AimHarderGym(AimHarderAccount):
    """See prebooking.domain.ports.Gym."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        boxes_url: str,
        account_url: str,
        login_url: str,
        box: Box,
        session: Session,
        now: Callable[[], float],
    ) -> None:
        super().__init__(client, account_url, session.cookies, boxes_url, login_url)
        self._box_url = boxes_url.replace("{box}", box.subdomain)
        self._box = box
        self._now = now

    async def listing(self, day: str, family_id: str) -> Listing:
        return await self._ask_for_day(read_listing, day, family_id)

    async def timetable(self, day: str) -> tuple[TimetabledClass, ...]:
        return await self._ask_for_day(read_timetable, day)

    async def _ask_for_day(self, read: Callable[[Any], _T], day: str, family_id: str = "") -> _T:
        params = {"day": day, "box": self._box.aimharder_id, "familyId": family_id}
        return await self._ask(read, "GET", f"{self._box_url}/api/bookings", params=params)

    def hold(self, request: BookingRequest) -> HeldRequest:
        form = {
            "id": request.class_id,
            "day": request.day,
            "insist": str(request.insist),
            "familyId": request.family_id,
        }
        headers, sent = self._headers(self._box_url), [value for _, value in self.cookies]
        hold = Hold(self._now)

        async def send() -> tuple[int, bytes, str]:
            held.set(hold)
            status, body, elsewhere = await self._send("POST", f"{self._box_url}/api/book", data=form, headers=headers)
            return status, _without(sent, body), elsewhere

        return _Held(hold, asyncio.create_task(send()))


def _redirected_to(response: httpx.Response, secrets: Sequence[str]) -> str:
    """The host of AimHarder's; "elsewhere" for any other, and for one that quotes a cookie; "" for no redirect."""
    try:
        host = response.url.join(response.headers.get("location", "")).host
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return ""
    if host == response.url.host:
        return ""
    label = host.partition(".")[0]
    parts = [label[i : i + _SHORTEST_SECRET] for i in range(max(1, len(label) - _SHORTEST_SECRET + 1))]
    quotes = any(part in one.lower() for one in secrets if len(one) >= _SHORTEST_SECRET for part in parts)
    return host if _HOST.fullmatch(host) and not quotes else "elsewhere"


def _without(cookies: Sequence[str], body: bytes) -> bytes:
    """What the box says is kept in the row and shown: an echo of the session must not be."""
    for value in cookies:
        if len(value) >= _SHORTEST_SECRET:
            for spelled in (value, value.replace("/", "\\/")):  # as PHP writes a slash in JSON
                body = body.replace(spelled.encode(), b"...")
    return body


class _Held:
    """See prebooking.domain.ports.HeldRequest."""

    def __init__(self, hold: Hold, sending: asyncio.Task[tuple[int, bytes, str]]) -> None:
        self._hold = hold
        self._sending = sending

    async def ready(self) -> None:
        ready = asyncio.ensure_future(self._hold.ready.wait())
        try:
            await asyncio.wait((ready, self._sending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._sending.done():  # a request that was not let go can only have failed
            raise BoxSilentError("no connection to the box") from self._sending.exception()

    async def lost(self) -> float:
        await asyncio.wait({self._sending})
        return self._hold.idle_s

    def fire(self) -> None:
        self._hold.fire()

    @property
    def fired_at(self) -> float | None:
        return self._hold.fired_at

    async def reply(self, *, within_s: float) -> Reply:
        try:
            async with asyncio.timeout(within_s):
                status, body, elsewhere = await self._sending
        except (httpx.HTTPError, TimeoutError) as exc:
            kind = Kind.NEVER_LEFT if self._hold.fired_at is None else Kind.NO_ANSWER
            return Reply(kind, words=type(exc).__name__)
        return read_reply(status, body, elsewhere)

    async def aclose(self) -> None:
        self._sending.cancel()
        await asyncio.wait({self._sending})
