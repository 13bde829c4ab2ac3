"""The cookies of one session, taken from Set-Cookie as browsers take them: RFC 6265, sections 5.2 and 5.3.

Those of aimharder.com go to its account host and to its boxes alike, which share their session, and so do those of
aimharder.es. Within one of the two, domain and path of a cookie matter only when it is deleted: as in a browser, other
cookies of the same name stay.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from prebooking.domain.cookies import Cookie, Domain, domain_of

_log = structlog.get_logger()
_T = TypeVar("_T")

_IN_A_HEADER = re.compile(r"[ -:<-~]*")  # ASCII, without a semicolon or a line's end
_LARGEST = 4096  # of name and value, as in browsers
_MOST = 50  # as PUT /session accepts
_BLANKS = " \t"
_MAX_AGE = re.compile(r"-?[0-9]+")
_LONGEST_NAME_SHOWN = 64

# Section 5.1.1: a date is tokens, of which the first that looks like a time is the time, and so on.
_TOKEN = re.compile(r"[^\t\x20-\x2F\x3B-\x40\x5B-\x60\x7B-\x7E]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL)
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL)
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?", re.DOTALL)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CENTURY_TURNS = 70
_FIRST_YEAR = 1601


class UnreadableCookieError(Exception):
    """A cookie that browsers ignore, or that no header may contain. The text says why, without the value."""


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One Set-Cookie header."""

    name: str
    value: str
    max_age_s: int | None = None
    expires: float | None = None  #: epoch seconds
    domain: str | None = None
    path: str | None = None

    def ends_at(self, now: float) -> float | None:
        """Returns when it expires, in epoch seconds. Max-Age takes precedence over Expires."""
        return self.expires if self.max_age_s is None else now + self.max_age_s


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str
    of: tuple[str, str] | None = None  #: domain and path; None: unknown
    ends_at: float | None = None


class Cookies:
    """The newest cookie of each name in each of AimHarder's domains. `now` returns epoch seconds."""

    def __init__(self, cookies: Sequence[Cookie] = (), now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept = {(cookie.name, cookie.domain): _Kept(cookie.value) for cookie in cookies}

    def all(self) -> tuple[Cookie, ...]:
        """Returns the cookies that have not expired, the newest last."""
        now = self._now()
        return tuple(
            Cookie(name, kept.value, domain)
            for (name, domain), kept in self._kept.items()
            if kept.ends_at is None or kept.ends_at > now
        )

    def of(self, host: str) -> tuple[Cookie, ...]:
        """Returns the cookies for a request to `host`."""
        domain = domain_of(host)
        return tuple(cookie for cookie in self.all() if cookie.domain is domain)

    def header(self, host: str) -> str:
        """Returns the Cookie header of a request to `host`."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.of(host))

    def take(self, set_cookie: str, *, host: str, path: str) -> None:
        """Stores the cookies that a response of `host` for `path` has set.

        Unreadable ones are logged without their values.
        """
        name = None
        try:
            found = read_set_cookie(set_cookie)
            name = found.name
            self._take(found, domain_of(host), (found.domain or host.lower(), found.path or _default_path(path)))
        except UnreadableCookieError as exc:
            shown = name if name is not None and _IN_A_HEADER.fullmatch(name) else None
            _log.warning("cookie_unreadable", name=shown and shown[:_LONGEST_NAME_SHOWN], reason=str(exc))

    def _take(self, found: SetCookie, domain: Domain, of: tuple[str, str]) -> None:
        now, key = self._now(), (found.name, domain)
        ends_at, before = found.ends_at(now), self._kept.get(key)
        if ends_at is not None and ends_at <= now:
            if before is not None and before.of in (None, of):
                del self._kept[key]
            return
        if not (_IN_A_HEADER.fullmatch(found.name) and _IN_A_HEADER.fullmatch(found.value)):
            raise UnreadableCookieError("characters that no header may have")
        if len(found.name) + len(found.value) > _LARGEST:
            raise UnreadableCookieError(f"larger than {_LARGEST} bytes")
        if before is None and len(self._kept) >= _MOST:
            raise UnreadableCookieError(f"more than {_MOST} cookies")
        self._kept.pop(key, None)  # the newest comes last
        self._kept[key] = _Kept(found.value, of, ends_at)


def read_set_cookie(header: str) -> SetCookie:
    """Parses a Set-Cookie header by section 5.2. Unknown attributes are ignored.

    Raises UnreadableCookieError if there is no name and value.
    """
    pair, *attributes = header.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(_BLANKS), value.strip(_BLANKS)
    if not equals or not name:
        raise UnreadableCookieError("no name=value")
    said: dict[str, list[str]] = {}
    for attribute in attributes:
        key, _, text = attribute.partition("=")
        said.setdefault(key.strip(_BLANKS).lower(), []).append(text.strip(_BLANKS))
    path = _last(iter(said.get("path", ())), lambda text: text)
    return SetCookie(
        name,
        value,
        max_age_s=_last(iter(said.get("max-age", ())), _max_age),
        expires=_last(iter(said.get("expires", ())), read_date),
        domain=_last(iter(said.get("domain", ())), lambda text: text.removeprefix(".").lower() or None),
        path=path if path is not None and path.startswith("/") else None,
    )


def read_date(text: str) -> float | None:
    """Returns epoch seconds, or None if it is not a date."""
    time_of_day = day = month = year = None
    for token in _TOKEN.findall(text):
        if time_of_day is None and (found := _TIME.fullmatch(token)):
            time_of_day = found
        elif day is None and (found := _DAY.fullmatch(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.fullmatch(token)):
            year = int(found[1])
    if time_of_day is None or day is None or month is None or year is None:
        return None
    if year < 100:  # noqa: PLR2004  # two digits
        year += 1900 if year >= _CENTURY_TURNS else 2000
    if year < _FIRST_YEAR:
        return None
    try:
        hour, minute, second = (int(part) for part in time_of_day.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _max_age(text: str) -> int | None:
    return min(int(text[:18]), 2**40) if _MAX_AGE.fullmatch(text) else None


def _last(texts: Iterator[str], read: Callable[[str], _T | None]) -> _T | None:
    """Returns the last readable attribute of this name."""
    found = None
    for text in texts:
        value = read(text)
        found = found if value is None else value
    return found


def _default_path(path: str) -> str:
    """Returns the default path, by section 5.1.4."""
    directory = path.rpartition("/")[0]
    return directory if directory.startswith("/") else "/"
