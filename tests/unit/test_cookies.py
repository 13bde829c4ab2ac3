"""Cookies are taken from Set-Cookie as browsers take them."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from prebooking.adapters.aimharder.cookies import Cookies, UnreadableCookieError, read_date, read_set_cookie
from prebooking.domain.cookies import Cookie

NOW = 1_800_000_000.0
SESSION = Cookie("amhrdrauth", "old")
TEXT = st.text(st.characters(codec="latin-1"), max_size=60)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";="), min_size=1, max_size=20)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=";"), max_size=60)
#: Of nothing that ends a cookie.
ATTRIBUTES = st.lists(
    st.sampled_from(["Partitioned", "Priority=High", "Secure", "HttpOnly", "SameSite=None", "Domain=.aimharder.com"])
    | TEXT.filter(
        lambda text: not {"max-age", "expires"} & {part.partition("=")[0].strip().lower() for part in text.split(";")}
    )
)


def taken(*headers: str, had: tuple[Cookie, ...] = (SESSION,), path: str = "/api/tokenUpdate") -> dict[str, str]:
    cookies = Cookies(had, lambda: NOW)
    for header in headers:
        cookies.take(header, host="aimharder.com", path=path)
    return {cookie.name: cookie.value for cookie in cookies.all()}


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("amhrdrauth=new; Domain=.aimharder.com; Path=/; Secure; HttpOnly; SameSite=None; Partitioned", "new"),
        ("amhrdrauth=new", "new"),
        (" amhrdrauth\t=  new ;x", "new"),
        ('amhrdrauth="n e w"', '"n e w"'),
        ("amhrdrauth=a=b==", "a=b=="),
        ("amhrdrauth=", ""),
        ("amhrdrauth=new; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "new"),
        ("amhrdrauth=new; Max-Age=soon; Expires=yesterday", "new"),
        ("amhrdrauth=new; Expires=Wed, 09-Jun-2077 10:18:14 GMT", "new"),
        ("amhrdrauth=new; Max-Age=0; Max-Age=60", "new"),
        ("amhrdrauth=deleted; Max-Age=0", None),
        ("amhrdrauth=deleted; MAX-AGE = -1", None),
        ("amhrdrauth=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/", None),
        ("amhrdrauth=deleted; expires=Thu, 01-Jan-70 00:00:01 GMT", None),
        # What can't be read leaves the old one.
        ("amhrdrauth", "old"),
        ("=new", "old"),
        ("", "old"),
        (";amhrdrauth=new", "old"),
        ("amhrdrauth=n\x01w", "old"),
        ("amhrdrauth=ñew", "old"),
        ("amhrdrauth=" + "x" * 5000, "old"),
    ],
)
def test_a_cookie_is_set_kept_or_deleted_as_a_browser_does(header: str, kept: str | None) -> None:
    assert taken(header).get("amhrdrauth") == kept


def test_the_deletion_of_another_cookie_of_that_name_deletes_none_but_that() -> None:
    """As PHP does it that moves a cookie to the parent domain: both in one answer, in either order."""
    moved = ("amhrdrauth=new; Domain=.aimharder.com; Path=/", "amhrdrauth=deleted; Max-Age=0; Path=/x")
    assert taken(*moved) == taken(*moved[::-1]) == {"amhrdrauth": "new"}
    assert taken(moved[0], "amhrdrauth=deleted; Max-Age=0; Domain=aimharder.com; Path=/") == {}


def test_one_without_a_path_is_of_the_requests_directory() -> None:
    assert taken("a=1", "a=; Max-Age=0; Path=/api", had=()) == {}
    assert taken("a=1", "a=; Max-Age=0; Path=/", had=()) == {"a": "1"}
    assert taken("a=1", "a=; Max-Age=0; Path=/", had=(), path="/setrefresh") == {}


def test_a_cookie_ends_when_it_says_so() -> None:
    now = NOW
    cookies = Cookies([SESSION], lambda: now)
    cookies.take("AWSALB=x; Max-Age=30", host="aimharder.com", path="/")
    assert cookies.header("aimharder.com") == "amhrdrauth=old; AWSALB=x"
    now += 30
    assert cookies.header("aimharder.com") == "amhrdrauth=old"


def test_there_are_not_more_than_a_request_can_carry() -> None:
    assert len(taken(*(f"c{number}=x" for number in range(1000)))) == 50


def test_what_can_not_be_read_is_logged_without_its_value() -> None:
    with capture_logs() as told:
        taken("amhrdrauth=hush\x01", "hush", "na\xefve=hush")
    assert [(one["event"], one["name"]) for one in told] == [
        ("cookie_unreadable", name) for name in ("amhrdrauth", None, None)
    ]
    assert "hush" not in str(told)


@given(NAMES, VALUES, ATTRIBUTES)
def test_no_attribute_changes_name_or_value(name: str, value: str, attributes: list[str]) -> None:
    header = "; ".join([f"{name}={value}", *attributes])
    found = read_set_cookie(header)
    assert (found.name, found.value) == (name, value.strip(" \t"))
    assert taken(header)[name] == value.strip(" \t")


@given(st.lists(TEXT | st.builds("{}={}; {}".format, NAMES, TEXT, TEXT)))
def test_whatever_comes_the_cookie_header_stays_one_line_of_ascii(headers: list[str]) -> None:
    cookies = Cookies([SESSION], lambda: NOW)
    for header in headers:
        cookies.take(header, host="aimharder.com", path="/api/whoami")
    sent = cookies.header("aimharder.com")
    assert sent.isascii()
    assert sent.isprintable()
    assert sent.count("=") >= len(cookies.all())


@given(
    st.integers(0, 3_155_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%d %B %Y;%H:%M:%S +0000"]
    ),
)
def test_a_date_is_read_in_every_form_that_servers_write(at: datetime, form: str) -> None:
    assert read_date(at.strftime(form)) == at.timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "Thu, 32 Jan 2026 00:00:00", "30 Feb 2026 00:00:00", "1 Jan 1600 00:00:00", "1 Jan 00:00:00"],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert read_date(text) is None


@given(TEXT)
def test_any_text_is_a_date_or_none_and_a_cookie_or_unreadable(text: str) -> None:
    read_date(text)
    with suppress(UnreadableCookieError):
        assert read_set_cookie(text).name
