"""What a log line shows in a terminal and to machines."""

import io
import json
import logging
import re
import sys

import pytest
import structlog
from tests.support.captured_logs import log_restored

from prebooking.logs import configure_logs

HOSTILE = "\x1b]0;title\x07\x1b[2J\u202eevil\r\nlevel=info forged"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the renderer's own


def fail() -> None:
    raise ValueError(HOSTILE)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged_to(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with log_restored():
        configure_logs("INFO")
        structlog.get_logger().warning("delivery_refused", reason=HOSTILE, nested={"said": [HOSTILE]})
        logging.getLogger("another.library").warning("refused: %s", HOSTILE)
        try:
            fail()
        except ValueError:
            structlog.get_logger().exception("request_failed")
    return stream.getvalue()


def test_a_terminal_gets_no_control_character_of_an_outsider(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _COLOUR.sub("", logged_to(Terminal(), monkeypatch))
    assert "evil" in text
    assert not {char for char in text if char != "\n" and not char.isprintable()}
    before_traces = text.partition("Traceback")[0]
    assert len(before_traces.splitlines()) == 3, "the outsider's line break has begun a line of its own"


def test_machines_get_the_text_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    refused, library, failed = map(json.loads, logged_to(io.StringIO(), monkeypatch).splitlines())
    assert (refused["reason"], refused["nested"]) == (HOSTILE, {"said": [HOSTILE]})
    assert library["event"] == f"refused: {HOSTILE}"
    assert failed["exception"].endswith(HOSTILE)
