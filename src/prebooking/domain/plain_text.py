"""Makes text of outsiders harmless for readers, such as a gym's message or a class's name."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

# Control characters (with which terminal escape sequences begin), invisible characters that change others (such as the
# writing direction), lone surrogates, and line breaks.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # used in words and emoji
# Chats: mentions of all, of one and of a channel; links that show other words than their address; links.
_MARKUP = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "\uff20"})  # they look alike, and have no special meaning
_LINK = re.compile(r"\](?=[(\[:])")
_ADDRESS = re.compile(r":(?=//)")


def printable(text: str) -> str:
    """Returns one line for a terminal or a log. Invisible characters become escapes, such as `\\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def for_chat(text: str) -> str:
    """The same for Slack, Discord, Telegram and other chats: without mentions and links."""
    return _ADDRESS.sub(": ", _LINK.sub("] ", printable(text).translate(_MARKUP)))


def all_for_chat(value: Any) -> Any:
    """Applies `for_chat` to all strings of the JSON, including names."""
    if isinstance(value, str):
        return for_chat(value)
    if isinstance(value, Mapping):
        return {all_for_chat(name): all_for_chat(item) for name, item in value.items()}
    return [all_for_chat(item) for item in value] if isinstance(value, list | tuple) else value


def _escaped(char: str) -> str:
    if char in _JOINERS:
        return char
    number = ord(char)
    if number > 0xFFFF:  # noqa: PLR2004  # as Python writes them
        return f"\\U{number:08x}"
    return f"\\u{number:04x}" if number > 0xFF else f"\\x{number:02x}"  # noqa: PLR2004
