"""The HTTP client of one session: it sends its cookies, keeps those that answers set, and bounds each wait."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx

from prebooking.adapters.aimharder.answers import BLOCKED, NOT_HERE, StatusError
from prebooking.adapters.aimharder.cookies import Cookies
from prebooking.adapters.aimharder.held_http import holding_transport
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking.adapters.limited_body import ENCODING, read_limited
from prebooking.adapters.tls import trusted
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import BoxBlockedError, BoxNotHereError, BoxSilentError, HostSilentError, NotSentError

_T = TypeVar("_T")

QUESTION_S = 3.0  # a question that takes longer is not worth waiting for
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


def http_client(proxy: str | None, resolver: Resolver) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=holding_transport(trusted(), proxy, resolver),
        headers=_HEADERS,
        # Cookies go as one literal header: a jar would add its own, and send one host's to another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # noqa: S113  # each wait has its own limit
        follow_redirects=False,
        trust_env=False,
    )


class SessionClient:
    """One session over an httpx client of its own."""

    def __init__(self, client: httpx.AsyncClient, cookies: Sequence[Cookie]) -> None:
        self._client = client
        self._cookies = Cookies(cookies)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        return self._cookies.all()

    def use(self, cookies: Sequence[Cookie]) -> None:
        """Goes on with another session."""
        self._cookies = Cookies(cookies)

    async def ask(self, read: Callable[[Any], _T], method: str, url: str, **content: Any) -> _T:
        """Returns what `read` makes of the JSON of a 200, within a question's time. Raises as `answer`."""
        return await self.answer(json_of_200(read), method, url, within_s=QUESTION_S, **content)

    async def ask_once(self, read: Callable[[int, bytes], _T], method: str, url: str, **content: Any) -> _T:
        """Asks what can't be asked again: once it has left it is awaited, a question's limit is for the others.

        Raises NotSentError where it surely has not left, else as `answer`.
        """
        patience = httpx.Timeout(None, connect=QUESTION_S)
        try:
            return await self.answer(read, method, url, within_s=None, timeout=patience, **content)
        except BoxSilentError as exc:
            if isinstance(exc.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
                raise NotSentError(str(exc)) from exc
            raise

    async def answer(
        self,
        read: Callable[[int, bytes], _T],
        method: str,
        url: str,
        *,
        within_s: float | None,
        any_status: bool = False,
        **content: Any,
    ) -> _T:
        """Returns what `read` makes of status and body.

        Raises HostSilentError, BoxBlockedError, BoxNotHereError, and BoxSilentError where `read` raises ValueError or
        StatusError.
        """
        try:
            async with asyncio.timeout(within_s):
                status, body, redirect_host = await self.send(method, url, **content)
            if status in NOT_HERE and not any_status:
                raise BoxNotHereError(f"{url}: HTTP {status}{redirect_host and f' to {redirect_host}'}")
            return read(status, body)
        # The exception's text may quote a header: its name says enough.
        except (httpx.NetworkError, httpx.TimeoutException, TimeoutError) as exc:
            raise HostSilentError(f"{url}: {type(exc).__name__}") from exc
        except StatusError as exc:
            blocked = exc.status in BLOCKED
            raise (BoxBlockedError if blocked else BoxSilentError)(f"{url}: {exc}") from exc
        except (httpx.HTTPError, ValueError, RecursionError) as exc:
            raise BoxSilentError(f"{url}: {type(exc).__name__}") from exc

    async def send(self, method: str, url: str, **content: Any) -> tuple[int, bytes, str]:
        """Returns status, body, and the host that a redirect names."""
        target = httpx.URL(url)
        secrets = [cookie.value for cookie in self._cookies.of(target.host)]
        async with self._client.stream(method, target, headers=self.headers(target), **content) as response:
            # First, since they count though the body may break off.
            for header in response.headers.get_list("set-cookie"):
                self._cookies.take(header, host=target.host, path=target.path)
            return response.status_code, await read_limited(response), _redirected_to(response, secrets)

    def headers(self, url: httpx.URL) -> dict[str, str]:
        """Returns those of a request: its cookies, and what a page of the same host would send."""
        origin, cookies = url.copy_with(raw_path=b"/"), self._cookies.header(url.host)
        sent = {"Cookie": cookies} if cookies else {}
        return sent | {"Origin": str(origin).rstrip("/"), "Referer": f"{origin}schedule"}


def json_of_200(read: Callable[[Any], _T]) -> Callable[[int, bytes], _T]:
    def read_answer(status: int, body: bytes) -> _T:
        if status != httpx.codes.OK:
            raise StatusError(status)
        return read(json.loads(body))

    return read_answer


def redact_cookies(body: bytes, cookies: Sequence[Cookie]) -> bytes:
    """What the box says is kept in the row and shown: an echo of the session must not be."""
    for _, value, _ in cookies:
        if len(value) >= _SHORTEST_SECRET:
            for spelled in (value, value.replace("/", "\\/")):  # as PHP writes a slash in JSON
                body = body.replace(spelled.encode(), b"...")
    return body


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
