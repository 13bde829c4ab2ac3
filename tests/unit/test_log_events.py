"""The events of the log are a closed vocabulary."""

import ast
from pathlib import Path

import prebooking
from prebooking.log_events import EVENTS

_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged() -> dict[str, str]:
    """Each event that the service's code logs, with a file that does; `?` where it is no plain text."""
    root = Path(prebooking.__file__).parent
    found = {}
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] == "local":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=level, value=logger), args=[event, *_]) if (
                    level in _LEVELS and "log" in ast.unparse(logger)
                ):
                    for name in _texts(event):
                        found[name] = path.name
    return found


def _texts(event: ast.expr) -> list[str]:
    match event:
        case ast.Constant(value=str() as name):
            return [name]
        case ast.IfExp(body=one, orelse=other):
            return [*_texts(one), *_texts(other)]
    return ["?"]


def test_each_event_that_is_logged_is_in_the_vocabulary_and_each_word_of_it_is_used() -> None:
    found = logged()
    assert {event: file for event, file in found.items() if event not in EVENTS} == {}
    assert set(EVENTS) - set(found) == set()


def test_it_says_of_each_what_it_means() -> None:
    assert all(len(meaning) > 20 for meaning in EVENTS.values())
