"""Requests a URL without credentials, and returns its status, body and clock, or why there was no response."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httpx

from prebooking.adapters.http11.limited_body import ENCODING, read_limited
from prebooking.adapters.tls import trusted
from prebooking.domain.plain_text import printable

_WITHIN_S = 5.0
_QUOTED = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResponse:
    """A response.

    `ahead_s`: by how much the host's clock is ahead of ours at least, to 0.5 s; None: it sends no Date.
    """

    status: int
    headers: Mapping[str, str]  #: names in lower case
    body: str
    ahead_s: float | None

    @property
    def content(self) -> Any:
        """The JSON of the body; None: the body is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the JSON object; empty if it is not an object."""
        content = self.content
        return content if isinstance(content, dict) else {}

    @property
    def location(self) -> str:
        """The target of a redirect."""
        return printable(self.headers.get("location", ""))

    @property
    def summary(self) -> str:
        """The status and the beginning of the body, in one line."""
        return f"HTTP {self.status} {printable(' '.join(self.body.split()))[:_QUOTED]}".rstrip()


class Why(StrEnum):
    NAME = "its name is not found"
    REFUSED = "nobody listens there"
    TLS = "its TLS certificate is not valid, or it speaks no TLS"
    TIME = "no answer came in time"
    PROXY = "the proxy does not lead there"
    OTHER = "the connection failed"


@dataclass(frozen=True, slots=True)
class Silence:
    why: Why
    summary: str  #: why in words, with the exception's


async def probe(
    url: str,
    proxy: str | None = None,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    content: Any = None,
) -> HostResponse | Silence:
    """Sends the request, and does not follow redirects. `content`: sent as JSON."""
    try:
        async with (
            asyncio.timeout(_WITHIN_S),
            httpx.AsyncClient(verify=trusted(), timeout=_WITHIN_S, trust_env=False, proxy=proxy) as http,
        ):
            asked = time.time()
            sent = {"accept-encoding": ENCODING, **(headers or {})}
            body = {} if content is None else {"json": content}
            async with http.stream(method, url, headers=sent, **body) as answer:
                answered = time.time()
                said = (await read_limited(answer)).decode(errors="replace")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, LookupError) as exc:
        return _silence(exc)
    lowered = {name.lower(): value for name, value in answer.headers.items()}
    return HostResponse(status=answer.status_code, headers=lowered, body=said, ahead_s=_ahead(lowered, asked, answered))


def _ahead(headers: Mapping[str, str], asked: float, answered: float) -> float | None:
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp() + 0.5
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    # The host's clock showed that at some instant in between: the nearest one counts, as the response may be slow.
    return theirs - min(max(theirs, asked), answered)


def _silence(exc: BaseException) -> Silence:
    why = next((why for cause in _causes(exc) if (why := _why(cause))), Why.OTHER)
    return Silence(why, f"{why}: {type(exc).__name__} {printable(str(exc))}"[: 2 * _QUOTED].rstrip())


def _why(cause: BaseException) -> Why | None:
    if isinstance(cause, httpx.ProxyError):
        return Why.PROXY
    if isinstance(cause, socket.gaierror) or "Name or service not known" in str(cause):
        return Why.NAME
    if isinstance(cause, ssl.SSLError):
        return Why.TLS
    if isinstance(cause, ConnectionRefusedError):
        return Why.REFUSED
    return Why.TIME if isinstance(cause, TimeoutError | httpx.TimeoutException) else None


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yields the exception and its causes."""
    waiting = [exc]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
