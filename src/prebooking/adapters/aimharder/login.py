"""Parses AimHarder's answer to a login, in all its known forms.

Success is asserted positively: `authOK` and a token. A wrong password is a 401, or a 200 with `authOK` false, with a
key or a text that says so. A text about a lock takes precedence: a locked account refuses the right password, too,
which must not be taken for a wrong one.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from prebooking.adapters.aimharder.answers import StatusError
from prebooking.adapters.aimharder.classes import read_roles
from prebooking.domain.errors import AccountLockedError, WrongCredentialsError
from prebooking.domain.sign_ins import LoggedIn

_OK, _UNAUTHORIZED, _TOO_MANY_REQUESTS = 200, 401, 429
_WRONG_KEY = re.compile(r"\bLOGIN_ERROR_LOGIN\b")
_LOCKED_WORDS = re.compile(r"demasiad[oa]s (?:veces|intentos)|mass?a vegades|masses (?:vegades|intents)|too many")
# Matches e-mail and password only, not other things that may be incorrect, such as a captcha.
_WRONG_WORDS = re.compile(
    r"incorrect[aeo]?s?\b|(?:wrong|invalid|bad) (?:e-?mail|user|username|password|credentials|login)"
    r"|(?:contraseña|contrasenya|credenciales|credencials|usuario|usuari)\b.{0,40}"
    r" (?:err[oó]ne|no v[aáà]lid|inv[aáà]lid)"
)
_OF_ANOTHER_THING = re.compile(r"captcha|c[oó]di(?:go|gos)?\b|\bcodes?\b|token|fingerprint|huella")
_TAG = re.compile(r"<(?:script|style)\b.*?(?:</(?:script|style)\s*>|$)|<[^>]*>", re.DOTALL)
_LONGEST_TEXT = 20_000
_NO = (False, 0, "0", "false", "")
_YES = (True, 1, "1", "true")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_STORED_TOKEN = re.compile(r"""setItem\(\s*["']refreshToken["']\s*,\s*["']([0-9]+\|[0-9]+\|[0-9A-Za-z]+)["']""")


def read_login(status: int, body: bytes) -> LoggedIn:
    """Returns the result of a login.

    Raises WrongCredentialsError, AccountLockedError, StatusError (any other answer).
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if status == _OK and isinstance(said, dict) and (logged_in := _read_success(said)):
        return logged_in
    texts = _texts(said) if isinstance(said, dict | list) else [body[:_LONGEST_TEXT].decode(errors="replace")]
    words = " ".join(_TAG.sub(" ", " ".join(texts)[:_LONGEST_TEXT]).split())
    if status == _TOO_MANY_REQUESTS or _LOCKED_WORDS.search(words.lower()):
        raise AccountLockedError
    if isinstance(said, dict) and status in (_OK, _UNAUTHORIZED) and _says_wrong(status, said, words):
        raise WrongCredentialsError
    raise StatusError(status)


def read_entrance(body: bytes) -> str | None:
    """Returns the token that the page of /setrefresh stores in the browser, if it can be read."""
    found = _STORED_TOKEN.search(body[:_LONGEST_TEXT].decode(errors="replace"))
    return found[1] if found else None


def _read_success(said: dict[str, Any]) -> LoggedIn | None:
    auth = _part(_part(said, "data"), "auth")
    token = auth.get("refreshToken")
    if auth.get("authOK") not in _YES or not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    return LoggedIn(token, read_roles(_part(_part(said, "data"), "userData").get("roles")))


def _says_wrong(status: int, said: dict[str, Any], words: str) -> bool:
    if _WRONG_KEY.search(words):
        return True
    auth = _part(_part(said, "data"), "auth")
    if status == _OK and not ("authOK" in auth and auth["authOK"] in _NO):
        return False
    lowered = words.lower()
    return bool(_WRONG_WORDS.search(lowered)) and not _OF_ANOTHER_THING.search(lowered)


def _part(said: dict[str, Any], name: str) -> dict[str, Any]:
    part = said.get(name)
    return part if isinstance(part, dict) else {}


def _texts(said: Any) -> Iterator[str]:
    """Yields all strings in the JSON, without the names of fields."""
    waiting = [said]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting.extend(reversed(part.values()))
        elif isinstance(part, list):
            waiting.extend(reversed(part))
