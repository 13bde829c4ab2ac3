"""Redacts secrets in log lines by name, by value and by shape.

The values are those of the settings, which are replaced by the names of the settings. The secrets of sessions are not
known in advance: they are recognized by name and shape, such as cookies, AimHarder's token and long opaque strings.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[redacted]"

_SHORTEST_VALUE = 8  # a shorter one would match everywhere
_SHORTEST_OPAQUE = 16  # a shorter one of letters alone may be a word, one of letters and digits a part of an id
_PLAIN = (int, float, bool, type(None))
_IDS = ("_id", "_ids")  # ids are long and opaque, but needed to find a log line

_NAMES = (
    *("cookie", "cookies", "set-cookie", "authorization", "proxy-authorization", "apikey", "api-key", "x-api-key"),
    *("password", "passwd", "secret", "token", "stored-token", "new-token", "old-token", "access-token"),
    *("refresh-token", "aimharder-token", "aimharder-cookies", "upstash-signature", "signature", "fingerprint"),
    *("service-api-key", "supabase-secret-key", "supabase-service-role-key", "supabase-jwt-secret", "qstash-token"),
    *("qstash-current-signing-key", "qstash-next-signing-key", "session-encryption-keys", "database-url"),
    *("qstash-current-signing-key-2", "qstash-next-signing-key-2", "qstash-forward-headers"),
    # AimHarder's cookies
    *("amhrdrauth", "awsalb", "awsalbcors", "awsalbtg", "awsalbtgcors", "phpsessid"),
)
_BY_NAME = frozenset(name.replace("-", "") for name in _NAMES)
# In texts: `name: …` to the end of the line, like a header; `name=…` to the end of the word; or a quoted value.
_NAMED = re.compile(
    r"(?P<name>(?<![a-z0-9])(?:"
    + "|".join(sorted((name.replace("-", "[-_]?") for name in _NAMES), key=len, reverse=True))
    + r")(?![a-z0-9]))"
    r"(?P<between>\\?[\"']?(?:\s*[:=,]\s*b?(?P<quote>\\?[\"'])(?=\S)|:\s?|=))"
    r"(?:(?<=[\"'])(?:(?!(?P=quote)).)+|(?<==)[^\s;,&\"'()\[{]+|(?<=[:\s])[^\s\"'\[{(][^\r\n\"']*)",
    re.IGNORECASE,
)
# Every name contains one of these: searching a dozen words is fifty times faster than that expression.
_IN_NAMES = (
    "cookie",
    "auth",
    "key",
    "pass",
    "secret",
    "token",
    "sign",
    "finger",
    "awsalb",
    "phpsess",
    "database",
    "forward",
)
# A text that every match contains, and the expression.
_SHAPES = tuple(
    (sign, re.compile(shape))
    for sign, shape in (
        ("eyJ", r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*"),  # a JSON web token
        ("earer ", r"\b[Bb]earer\s+[^\s\"',;]+"),
        ("sb_secret_", r"\bsb_secret_\w+"),
        ("enc:v1:", r"\benc:v1:[0-9a-f]{8}:[\w=-]+"),  # a sealed value
        ("|", r"\b\d+\|\d{9,11}\|\w+"),  # AimHarder's token
        ("://", r"(?<=://)[^\s/@:]*:[^\s/]*(?=@)"),  # user and password in a URL
        ("/calendar/", r"(?<=/calendar/)[^\s/?#\"'<>\\]+"),  # the secret address of a user's calendar
        ("Illegal header", r"(?<=Illegal header )(?:value|name) b?([\"']).*?\1"),
        ("Failing row", r"(?<=Failing row contains )\(.*"),  # Postgres quotes the whole row
        ("value", r"(?<=['\"]value['\"]: )(['\"]).*?\1"),  # of {name, value}
    )
)
_LONG_RUN = re.compile(r"(?<![\w%+=|-])(?!msg_)(?=[^\W\d]*\d)[\w%+=|-]{40,}")  # opaque; a message id may be shown
_SHORTEST_RUN = 40
_LONGEST_TEXT = 20_000


class Redactor:
    """A structlog processor, and a function of texts.

    `secrets`: values to replace wherever they occur, each with the name of its setting.
    """

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._names = {form: f"[{name}]" for secret, name in (secrets or {}).items() for form in _spellings(secret)}
        longest_first = sorted(self._names, key=len, reverse=True)  # one may contain another
        self._values = re.compile("|".join(_alone(form) for form in longest_first))
        self._shown = re.compile("|".join(re.escape(name) for name in sorted(set(self._names.values()))))

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: self._named(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]} … ({len(text)} characters)"
        text = self._known_values(text)
        for sign, shape in _SHAPES:
            if sign in text:
                text = shape.sub(self._hidden, text)
        if len(text) >= _SHORTEST_RUN:
            text = _LONG_RUN.sub(self._hidden, text)
        lowered = text.lower()
        return _NAMED.sub(self._without_value, text) if any(word in lowered for word in _IN_NAMES) else text

    def _known_values(self, text: str) -> str:
        if any(value in text for value in self._names):
            return self._values.sub(lambda found: self._names[found[0]], text)
        return text

    def _hidden(self, found: re.Match[str]) -> str:
        """Returns the name of the setting if the match contains its replaced value, otherwise the generic text."""
        name = self._shown.search(found[0]) if self._names else None
        return name[0] if name else HIDDEN

    def _without_value(self, found: re.Match[str]) -> str:
        return f"{found['name']}{found['between']}{self._hidden(found)}"

    def _named(self, name: Any, value: Any) -> Any:
        if isinstance(value, _PLAIN):
            return value
        if isinstance(name, str):
            if _is_secret(name):
                return HIDDEN
            if isinstance(value, str) and name.endswith(_IDS):
                return self._known_values(value)
        return self._any(value)

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: self._named(key, item) for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str | bytes)  # noqa: PLR2004
            if pair:  # a header, a cookie
                name, item = value
                return [self._any(name), self._named(name.decode("latin-1") if isinstance(name, bytes) else name, item)]
            return [self._any(item) for item in value]
        return self.text(value.decode("latin-1") if isinstance(value, bytes) else repr(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "") in _BY_NAME


def _spellings(secret: str) -> Iterator[str]:
    if len(secret) >= (_SHORTEST_OPAQUE if secret.isalpha() else _SHORTEST_VALUE):
        yield from (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1])


def _alone(form: str) -> str:
    could_be_part_of_a_word = form.isalnum() and len(form) < _SHORTEST_OPAQUE
    return rf"(?<![^\W_]){form}(?![^\W_])" if could_be_part_of_a_word else re.escape(form)
