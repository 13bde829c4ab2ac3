"""What outsiders wrote is neutral in a terminal and in a chat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebooking.domain.plain_text import all_for_chat, for_chat, printable


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("CrossFit a les 8 — açò és ☀️", "CrossFit a les 8 — açò és ☀️"),
        ("👩‍👩‍👧 family", "👩‍👩‍👧 family"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31mred", "\\x9b31mred"),
        ("one\r\ntwo\ttabs", "one\\x0d\\x0atwo\\x09tabs"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("a\u2066b\u2069\u200f\u061c", "a\\u2066b\\u2069\\u200f\\u061c"),
        ("a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\x85"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("half \ud800", "half \\ud800"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("", ""),
    ],
)
def test_what_is_not_seen_becomes_a_visible_escape(written: str, shown: str) -> None:
    assert printable(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("WOD & Open Box [Team] (8:00)", "WOD & Open Box [Team] (8:00)"),
        ("<!channel> <@U1> <#C1>", "\u2039!channel\u203a \u2039\uff20U1\u203a \u2039#C1\u203a"),
        ("@everyone @here", "\uff20everyone \uff20here"),
        ("[your gym](https://evil.example)", "[your gym] (https: //evil.example)"),
        ("![x](a) [a][b] [b]: c", "![x] (a) [a] [b] [b] : c"),
        ("<https://evil.example|your gym>", "\u2039https: //evil.example|your gym\u203a"),
        ("<b>bold</b>\x1b", "\u2039b\u203abold\u2039/b\u203a\\x1b"),
    ],
)
def test_nobody_is_mentioned_and_nothing_is_a_link_in_a_chat(written: str, shown: str) -> None:
    assert for_chat(written) == shown


@given(st.text(alphabet=st.characters() | st.sampled_from("<>@[](): /\x1b\u202e")))
def test_whatever_was_written_is_one_line_that_every_encoding_takes(text: str) -> None:
    shown = for_chat(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
    assert for_chat(shown) == shown
    assert not any(sign in shown for sign in ("<", ">", "@", "](", "][", "://"))


def test_what_a_text_stands_in_keeps_its_shape() -> None:
    assert all_for_chat({"id": 7, "<x>": ["@all", None, {"n": 1.5}]}) == {
        "id": 7,
        "\u2039x\u203a": ["\uff20all", None, {"n": 1.5}],
    }
