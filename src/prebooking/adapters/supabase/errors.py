"""Translates error responses: whether to repeat the call, and what to fix.

The decision is by HTTP statuses and by codes of the database and PostgREST, each a closed set. It is never by the form
of the body, which depends on what is in front of the database (JSON, HTML, text or nothing), nor by texts, which change
between versions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prebooking.domain.errors import StoreRefusedError, StoreTrouble, StoreUnavailableError

# Of connections, resources, shutdowns, locks and time-outs, and PostgREST's own without a database.
TRANSIENT_CODES = frozenset(
    {
        *("08000", "08001", "08003", "08004", "08006", "08007", "08P01"),
        *("53000", "53100", "53200", "53300", "53400"),
        *("57014", "57P01", "57P02", "57P03", "57P05"),
        *("40001", "40003", "40P01", "55P03", "25006", "58000", "58030"),
        *("PGRST000", "PGRST001", "PGRST002", "PGRST003"),
    }
)
# Of gateways: also Cloudflare's 52x and 530, and a paused project's 540. 500 counts where it is not the database's.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 528), 530, 540})
# A value that the tables do not accept: data exceptions and violated constraints.
REFUSED_CODES = frozenset(
    {
        *("22000", "22001", "22002", "22003", "22004", "22005", "22007", "22008", "22009", "22010", "22011", "22012"),
        *("22013", "22014", "22015", "22016", "22018", "22019", "22021", "22022", "22023", "22024", "22025", "22026"),
        *("22027", "22030", "22031", "22032", "22033", "22034", "22035", "22036", "22037", "22038", "22039", "2203A"),
        *("2203B", "2203C", "2203D", "2203E", "2203F", "2203G", "2200B", "2200C", "2200D", "2200F", "2200G", "2200H"),
        *("2200L", "2200M", "2200N", "2200S", "2200T", "2201B", "2201E", "2201F", "2201G", "2201W", "2201X", "2202E"),
        *("2202G", "2202H", "22P01", "22P02", "22P03", "22P04", "22P05", "22P06"),
        *("23000", "23001", "23502", "23503", "23505", "23514", "23P01"),
    }
)
_TROUBLE_OF_CODE = {
    **dict.fromkeys(("PGRST301", "PGRST302", "PGRST303"), StoreTrouble.KEY_REFUSED),
    **dict.fromkeys(("PGRST202", "PGRST203", "42883"), StoreTrouble.FUNCTION_MISSING),
    "42501": StoreTrouble.NOT_ALLOWED,
    "PGRST125": StoreTrouble.NOT_POSTGREST,  # it is one, at another path
}
_TROUBLE_OF_STATUS = {
    429: StoreTrouble.THROTTLED,
    540: StoreTrouble.PAUSED,
    **dict.fromkeys((301, 302, 303, 307, 308, 404, 405, 410), StoreTrouble.NOT_POSTGREST),
}
_MESSAGES = {
    StoreTrouble.KEY_REFUSED: "the key is refused",
    StoreTrouble.LOGIN_ASKED: "something before Supabase lets no call through",
    StoreTrouble.NOT_POSTGREST: "no PostgREST answers there",
    StoreTrouble.THROTTLED: "too many calls",
    StoreTrouble.PAUSED: "the project is paused",
}
# An SQLSTATE or a code of PostgREST; other texts in its place are those of gateways.
_CODE = re.compile(r"(?=[A-Z]*[0-9])[0-9A-Z]{5}|PGRST[0-9A-Z]{1,3}")
_SHOWN = 120
_ERROR_OF_OURS = 500  # with a code of the database: an error in a function


class TransientError(Exception):
    """The call may be repeated."""

    def __init__(self, message: str, trouble: StoreTrouble) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(slots=True)
class ErrorResponse:
    """Status and headers of one response, which Supabase's client does not report. Header names are in lower case."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


def translated(
    function: str, code: str | None, message: str | None, details: Any, response: ErrorResponse
) -> Exception:
    status = response.status
    is_coded = isinstance(code, str) and _CODE.fullmatch(code) is not None
    if is_coded and code in REFUSED_CODES:
        return StoreRefusedError(f"{function}: {code} {message}")
    words = details if isinstance(details, str) and details else message or ""
    message = f"{function}: {code} {message}" if is_coded else f"{function}: {_of_gateway(words, response)}"
    # An empty code: PostgREST's first call on a connection that died while it was idle.
    if code == "" or (is_coded and code in TRANSIENT_CODES) or _passes(status, is_coded=is_coded):
        return TransientError(message, _TROUBLE_OF_STATUS.get(status, StoreTrouble.BUSY))
    trouble = _TROUBLE_OF_CODE.get(code or "", StoreTrouble.OTHER) if is_coded else _trouble(response)
    said = code if is_coded else "unauthorized" if trouble is StoreTrouble.KEY_REFUSED else str(status)
    return StoreUnavailableError(message, said, trouble=trouble)


def another_shape(function: str) -> StoreUnavailableError:
    """Returns the error for a successful response that is not one of our functions'."""
    message = f"{function}: an answer of another shape: {_MESSAGES[StoreTrouble.NOT_POSTGREST]}"
    return StoreUnavailableError(message, "another shape", trouble=StoreTrouble.NOT_POSTGREST)


def _passes(status: int, *, is_coded: bool) -> bool:
    return status in TRANSIENT_STATUSES and not (is_coded and status == _ERROR_OF_OURS)


def _trouble(response: ErrorResponse) -> StoreTrouble:
    if response.status not in (401, 403):
        return _TROUBLE_OF_STATUS.get(response.status, StoreTrouble.OTHER)
    asks = response.headers.get("www-authenticate", "").partition(" ")[0].lower()
    # Supabase's gateway refuses a key in JSON; a proxy in front of it asks for a login, or has a page for it.
    if asks in ("basic", "digest", "negotiate") or "json" not in response.headers.get("content-type", ""):
        return StoreTrouble.LOGIN_ASKED
    return StoreTrouble.KEY_REFUSED


def _of_gateway(words: str, response: ErrorResponse) -> str:
    """Returns the gateway's status and the beginning of its text, in one line."""
    trouble = _trouble(response)
    said = "".join(c if c.isprintable() else " " for c in words[:_SHOWN]).strip()
    named = f", {_MESSAGES[trouble]}" if trouble in _MESSAGES else ""
    return f"HTTP {response.status} without a code of the database's{named}" + (f": {said}" if said else "")
