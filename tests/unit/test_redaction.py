"""What the log shows of a secret: nothing, whatever it stands in, under any name; and what is no secret: all of it."""

import json
import logging
import sys
import time
import warnings
from typing import Any
from uuid import uuid4

import pytest
import structlog
from tests.support.captured_logs import logged

from prebooking.domain.cookies import Cookie
from prebooking.domain.prebooking import Session
from prebooking.redaction import HIDDEN, Redactor

CANARY = "can/ary+0123"


def event(**values: Any) -> dict[str, Any]:
    return dict(Redactor({CANARY: "redacted"})(None, "info", {"event": "tested", **values}))


NAMES = [
    *(
        "cookie",
        "Cookies",
        "Set-Cookie",
        "authorization",
        "apikey",
        "token",
        "old_token",
        "stored_token",
        "fingerprint",
    ),
    *("aimharder_token", "aimharder_cookies", "Upstash-Signature", "password", "secret", "SERVICE_API_KEY"),
    *("qstash_next_signing_key", "SUPABASE_SECRET_KEY", "session_encryption_keys", "DATABASE_URL", "amhrdrauth"),
]


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_under_the_name_of_a_secret_is_hidden_however_deep(name: str) -> None:
    shown = event(**{name: "hush"}, deep={"a": [{name: ["hush"]}, (name, "hush"), (name.encode(), b"hush")]})
    assert "hush" not in repr(shown)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        *("{n}: hush hush; hush", "{n}=hush", "a=1&{n}=hush&b=2", "{{'{n}': 'hush'}}", '{{"{n}": "hush"}}'),
        *(r"{{\"{n}\": \"hush\"}}", "[(b'{n}', b'hush')]", "('{n}', 'hush')", "f({n}='hush')"),
        *("{n}: hush\n  at line 3", "{n} = 'hush'"),
    ],
)
def test_in_a_text_too(name: str, text: str) -> None:
    shown = Redactor().text(text.format(n=name))
    assert "hush" not in shown
    assert name in shown


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJFUzI1NiJ9.eyJodXNoIjoxfQ.hush-hush_hush",
        "bearer of bad news: Bearer hush.hush",
        "sb_secret_hush",
        "enc:v1:0123abcd:hush_hush-hush==",
        "row 69232|1768841634|hush of ana",
        "postgresql://postgres:hu:sh@hush@db.example.com:5432/x",
        "Illegal header value b'custom=hush; other=hush'",
        "[{'name': 'custom', 'value': 'hush'}, {'name': 'amhrdrauth', 'value': 'hush'}]",
        '[{"name": "custom", "value": "hush"}]',
        "DETAIL:  Failing row contains (1, ana@example.com, hush, [{hush}]).",
        f"unknown {'1hush' * 9}",
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden(text: str) -> None:
    assert "hush" not in Redactor().text(text)
    assert "hush" not in repr(event(reason=text, nested=[{"said": text}], exc=ValueError(text)))


@pytest.mark.parametrize("form", [CANARY, "can%2Fary%2B0123", "x" + CANARY + "x"])
def test_a_value_of_the_settings_is_hidden_wherever_it_stands(form: str) -> None:
    for shown in (event(path=f"/a/{form}"), event(request_id=form), event(it={form: form}), event(it=form.encode())):
        assert form not in repr(shown)


@pytest.mark.parametrize(
    "text",
    [
        "The access token has expired: sign in again or refresh it.",
        "claim_prebooking: 57014 canceling statement due to statement timeout",
        "its token is encrypted under key 0123abcd, which SESSION_ENCRYPTION_KEYS lacks",
        "QStash, publish: status: 429",
        "msg_26hZCxZCuWyyTWPmSVBrNB1RADwpgWxPcak2rLD51EMjFMuzcYo7C",
        "https://mygym.aimharder.com/api/whoami: HTTP 500",
        '  File "src/prebooking/adapters/supabase/sessions.py", line 71, in save\n    token = session.stored_token',
        "3f2b8c1e-9d0a-4b7e-8a55-0c7d1e2f3a4b 2026-11-22T07:00:00.123456Z",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert Redactor({CANARY: "redacted"}).text(text) == text
    ids = {"request_id": "0123456789abcdef" * 4, "message_id": "m" * 60, "count": 3, "at": None, "ok": True}
    assert event(**ids) == {"event": "tested", **ids}


TOKEN = "eyJVc2VySUQiOiJhYmMiLCJQYXNzd29yZCI6ImRlZiJ9"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Illegal header value b'Bearer {TOKEN}'", "Illegal header [QSTASH_TOKEN]"),
        (f"Illegal header value b'{TOKEN}\\n'", "Illegal header [QSTASH_TOKEN]"),
        (f"authorization: Bearer {TOKEN}", "authorization: [QSTASH_TOKEN]"),
        (f"{TOKEN} is not {TOKEN[:-1]}x", "[QSTASH_TOKEN] is not [redacted]"),
        ("Illegal header value b'other'", "Illegal header [redacted]"),
        ("http://user:of-the-proxy@proxy", "http://[AIMHARDER_PROXY]@proxy"),
        ("cookie: QSTASH_TOKEN", "cookie: [redacted]"),
    ],
)
def test_what_is_hidden_names_the_setting_that_it_hides(text: str, shown: str) -> None:
    redactor = Redactor({TOKEN: "QSTASH_TOKEN", "of-the-proxy": "AIMHARDER_PROXY"})
    assert redactor.text(text) == shown
    assert redactor(None, "info", {"event": text})["event"] == shown


def test_short_and_common_values_do_not_mangle_the_text_around_them() -> None:
    text = 'password authentication failed for user "postgres": id 1234567890123 of prebooking, key abc12345def'
    common = ("postgres", "prebooking", "key", "id", "12345678", "abc12345", "authentication")
    assert Redactor(dict.fromkeys(common, "DATABASE_URL")).text(text) == text
    assert Redactor({"abc12345": "QSTASH_TOKEN"}).text("it is abc12345.") == "it is [QSTASH_TOKEN]."


def test_a_value_that_is_a_part_of_another_or_of_a_name_hides_each_once() -> None:
    redactor = Redactor({"part-of-it": "A_KEY", "all-and-part-of-it": "B_KEY", "B_KEY:x-0": "C_KEY"})
    assert redactor.text("all-and-part-of-it, part-of-it, B_KEY:x-0") == "[B_KEY], [A_KEY], [C_KEY]"


def test_a_session_shows_nothing_of_itself() -> None:
    session = Session(
        id=uuid4(),
        user_email="a@b",
        token="hush",
        stored_token="hush",
        cookies=(Cookie("c", "hush"),),
        fingerprint="hush",
    )
    assert "hush" not in repr(event(session=session)) + str(session)


def test_each_line_goes_through_ours_and_the_libraries_with_traces_and_causes() -> None:
    with logged([CANARY, "short"]) as said:
        log, library = structlog.get_logger(), logging.getLogger("a.library")
        failure = RuntimeError(f"cookie: amhrdrauth={CANARY}")
        failure.__cause__ = ValueError(f"password={CANARY}")
        log.error("failed", exc_info=failure, headers={"Cookie": CANARY})
        library.error("it broke with %s", {"token": "hush"}, exc_info=failure)
        library.debug("apikey: %s", "hush")
        library.warning("%d", "hush")  # which can't be formatted
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            logging.captureWarnings(capture=True)
            warnings.warn(f"token={CANARY}", stacklevel=1)
        sys.excepthook(ValueError, ValueError(f"no {CANARY}"), None)
    lines = said.getvalue().splitlines()
    assert len(lines) == 6
    assert CANARY not in said.getvalue()
    assert "hush" not in said.getvalue()
    first = json.loads(lines[0])
    assert first["headers"] == {"Cookie": HIDDEN}
    assert "RuntimeError: cookie: [redacted]" in first["exception"]
    assert "ValueError: password=[redacted]" in first["exception"]
    assert "a.library" in lines[3]


def test_a_line_costs_little_and_no_text_costs_much() -> None:
    redactor = Redactor({f"{'s' * 20}{n}": f"KEY_{n}" for n in range(9)})
    line = {
        "event": "executed",
        "prebooking_id": "d0b6a3cc-6f1b-4c39-9f0e-6e9f4f1f1d0f",
        "outcome": "booked",
        "fire_lateness_ms": 1.23,
        "level": "info",
        "timestamp": "2026-11-22T07:00:00.000000Z",
        "request_id": "d" * 16,
    }

    def best_of(times: int, text: Any) -> float:
        took = []
        for _ in range(times):
            started = time.perf_counter()
            redactor(None, "info", text)
            took.append(time.perf_counter() - started)
        return min(took)

    assert best_of(2000, line) < 1e-3
    for bad in (
        "a",
        "cookie",
        "cookie:",
        "://",
        "1|",
        "eyJ",
        "eyJa.",
        "token='",
        "'value': '",
        "1" * 39 + " ",
        "://a:",
    ):
        assert best_of(3, {"event": bad * (60_000 // len(bad))}) < 1, bad
