"""The HTTP client of one session: it sends its cookies, keeps those that answers set, and bounds each wait."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from prebooking.adapters.aimharder.answers import BLOCKED, NOT_HERE, StatusError
from prebooking.adapters.aimharder.cookies import Cookies
from prebooking.adapters.aimharder.held_http import Hold
from prebooking.adapters.http11.client import Header, HttpClient, split_url
from prebooking.adapters.http11.connection import Response
from prebooking.adapters.http11.limited_body import ENCODING, unpacked
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import BoxBlockedError, BoxNotHereError, BoxSilentError, HostSilentError, NotSentError

_T = TypeVar("_T")

QUESTION_S = 3.0  # a question that takes longer is not worth waiting for
_OK = 200
_SHORTEST_SECRET = 8
_HOST = re.compile(r"(?:[a-z0-9-]{1,30}\.)?aimharder\.(?:com|es)")
# The identity of a browser: some gyms are said to refuse others.
_BROWSER = (
    ("Connection", "keep-alive"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "application/json, text/javascript, */*; q=0.01"),
    ("Accept-Encoding", ENCODING),
    ("Accept-Language", "es-ES,es;q=0.9,en;q=0.8"),
    ("X-Requested-With", "XMLHttpRequest"),
)
FORM = "application/x-www-form-urlencoded"


class SessionClient:
    """One session over an HTTP client of its own."""

    def __init__(self, http: HttpClient, cookies: Sequence[Cookie]) -> None:
        self._http = http
        self._cookies = Cookies(cookies)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        return self._cookies.all()

    def use(self, cookies: Sequence[Cookie]) -> None:
        """Replaces the session."""
        self._cookies = Cookies(cookies)

    async def ask(self, read: Callable[[Any], _T], method: str, url: str, **content: Any) -> _T:
        """Returns the result of `read` for the JSON of a 200, within QUESTION_S. Raises as `answer`."""
        return await self.answer(json_of_200(read), method, url, within_s=QUESTION_S, **content)

    async def ask_once(self, read: Callable[[int, bytes], _T], method: str, url: str, **content: Any) -> _T:
        """Sends a request that can't be repeated, and waits for its answer without a time limit.

        Raises NotSentError if it certainly was not sent, else as `answer`.
        """
        try:
            return await self.answer(read, method, url, within_s=None, connect_s=QUESTION_S, **content)
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
        """Returns the result of `read` for status and body.

        Raises HostSilentError, BoxBlockedError, BoxNotHereError, and BoxSilentError if `read` raises ValueError or
        StatusError.
        """
        try:
            async with asyncio.timeout(within_s):
                status, body, redirect_host = await self.send(method, url, **content)
            if status in NOT_HERE and not any_status:
                raise BoxNotHereError(f"{url}: HTTP {status}{redirect_host and f' to {redirect_host}'}")
            return read(status, body)
        # The text of the exception may quote a header, so only its name is used.
        except (httpx.NetworkError, httpx.TimeoutException, TimeoutError) as exc:
            raise HostSilentError(f"{url}: {type(exc).__name__}") from exc
        except StatusError as exc:
            blocked = exc.status in BLOCKED
            raise (BoxBlockedError if blocked else BoxSilentError)(f"{url}: {exc}") from exc
        except (httpx.HTTPError, ValueError, RecursionError) as exc:
            raise BoxSilentError(f"{url}: {type(exc).__name__}") from exc

    async def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        said: Mapping[str, Any] | None = None,
        connect_s: float | None = None,
    ) -> tuple[int, bytes, str]:
        """Returns status, body, and the host that a redirect names. `form` or `said`, as JSON, is the body."""
        headers, body, sent = self.headers(url), b"", self.cookies
        if form is not None:
            headers, body = [*headers, ("Content-Type", FORM)], urlencode(form).encode()
        elif said is not None:
            headers, body = [*headers, ("Content-Type", "application/json")], _compact(said)
        query = urlencode(params) if params else ""
        keep = partial(self._keep_cookies, url)
        response = await self._http.ask(method, url, headers, body, query=query, on_head=keep, connect_s=connect_s)
        return self._read(url, response, sent)

    def hold(self, url: str, body: bytes, now: Callable[[], float]) -> Hold:
        """Returns a request with a form that waits for its word; `now` stamps when it leaves."""
        headers = [*self.headers(url), ("Content-Type", FORM)]
        return Hold(self._http, url, headers, body, now, partial(self._keep_cookies, url))

    async def answer_to(self, hold: Hold, url: str, sent: Sequence[Cookie]) -> tuple[int, bytes, str]:
        """Returns what `send` does, of a request that was held. `sent`: the session's cookies then."""
        return self._read(url, await hold.answer(), sent)

    def headers(self, url: str) -> list[Header]:
        """Returns those of a request: a browser's, its cookies, and what a page of the same host would send."""
        origin, _ = split_url(url)
        page = f"{origin.scheme}://{origin.authority}"
        cookies = self._cookies.header(origin.host)
        sent = [("Cookie", cookies)] if cookies else []
        return [*_BROWSER, *sent, ("Origin", page), ("Referer", f"{page}/schedule")]

    def _keep_cookies(self, url: str, response: Response) -> None:
        origin, path = split_url(url)
        for header in response.all("set-cookie"):
            self._cookies.take(header, host=origin.host, path=path)

    def _read(self, url: str, response: Response, sent: Sequence[Cookie]) -> tuple[int, bytes, str]:
        body = unpacked(response.body, response.first("content-encoding"))
        location = response.first("location")
        return response.status, body, _redirected_to(url, location, (*sent, *self.cookies)) if location else ""


def _compact(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def json_of_200(read: Callable[[Any], _T]) -> Callable[[int, bytes], _T]:
    def read_answer(status: int, body: bytes) -> _T:
        if status != _OK:
            raise StatusError(status)
        return read(json.loads(body))

    return read_answer


def redact_cookies(body: bytes, cookies: Sequence[Cookie]) -> bytes:
    """Removes cookies that the box's message quotes: it is stored in the row and shown to the user."""
    for _, value, _ in cookies:
        if len(value) >= _SHORTEST_SECRET:
            for spelled in (value, value.replace("/", "\\/")):  # as PHP writes a slash in JSON
                body = body.replace(spelled.encode(), b"...")
    return body


def _redirected_to(url: str, location: str, cookies: Sequence[Cookie]) -> str:
    """The host of AimHarder's; "elsewhere" for any other, and for one that quotes a cookie; "" for no redirect."""
    try:
        asked = httpx.URL(url)
        host = asked.join(location).host
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return ""
    if host == asked.host:
        return ""
    label = host.partition(".")[0]
    parts = [label[i : i + _SHORTEST_SECRET] for i in range(max(1, len(label) - _SHORTEST_SECRET + 1))]
    secrets = [cookie.value.lower() for cookie in cookies if len(cookie.value) >= _SHORTEST_SECRET]
    quotes = any(part in secret for secret in secrets for part in parts)
    return host if _HOST.fullmatch(host) and not quotes else "elsewhere"
