"""Parses AimHarder's answers, as far as the gyms' own page and other clients show what they mean.

Every business outcome is HTTP 200 with JSON. Success is asserted positively, after `logout` was checked. The generic
refusal -12 is classified by its untranslated key, or without a key by its text in the account's language.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from prebooking.adapters.aimharder.listing import Row, is_true, read_rows, whole
from prebooking.domain.classes import ListedClass, Listing
from prebooking.domain.outcome import Outcome, Reply, ReplyKind

_OK = 200
_BOOKED, _ON_A_LIST, _GENERIC = 1, 0, -12
_REFUSALS = {
    -1: Outcome.CLASS_FULL,
    -2: Outcome.NO_CREDIT,
    -5: Outcome.UNPAID,
    -7: Outcome.TOO_LATE,
    -8: Outcome.DAILY_LIMIT,
    -9: Outcome.LIMIT_REACHED,
}
_TOO_MANY_DAYS_AHEAD = -4
_MINUTES_A_DAY = 24 * 60
_TOO_EARLY_KEYS = ("ERROR_ANTELACION_CLIENTE", "ERROR_ANTELACION_CLIENTE_HORAS")
_SAME_HOUR_KEY = "NOPUEDESRESERVAMISMAHORA"
_LIMIT_KEY = "HASSUPERADOLIMITCONTR"
_TOO_EARLY_TEXT = re.compile(r"antelaci[oó]n?|anticipation|in advance", re.IGNORECASE)
_SAME_HOUR_TEXT = re.compile(r"misma hora|mateixa hora|same (?:time|hour)", re.IGNORECASE)
_TEXTS = ("errorMssg", "errorMsg", "error", "message")
_LONGEST_WORDS = 300
_LONGEST_MARKED_UP = 2000
_LONGEST_ID = 64
_LONGEST_NAME = 200

# Statuses after which the request may still be under way: a gateway timed out.
_GATEWAY_LOST = (502, 504)
#: The box refuses all requests of this client.
BLOCKED = (403, 429)
#: Nothing responds at this address.
NOT_HERE = (301, 302, 303, 307, 308, 404, 410)


class StatusError(ValueError):
    """The status of a response that does not answer the question."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def read_reply(status: int, body: bytes, elsewhere: str = "", *, may_be_cut_off: bool = False) -> Reply:
    """Classifies the answer to a booking request.

    `elsewhere`: the host of a redirect. `may_be_cut_off`: nothing told that the body was complete.
    """
    if status in NOT_HERE:
        return Reply(ReplyKind.NOT_HERE, detail=f"HTTP {status}{elsewhere and f' to {elsewhere}'}")
    if status in BLOCKED:
        return Reply(ReplyKind.BLOCKED, Outcome.BLOCKED, f"HTTP {status}")
    if status in _GATEWAY_LOST:
        return Reply(ReplyKind.NO_ANSWER, detail=f"HTTP {status}")
    try:
        said = json.loads(body) if status == _OK else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        kind = ReplyKind.NO_ANSWER if may_be_cut_off and status == _OK else ReplyKind.NOTHING_SAID
        return Reply(kind, detail=f"HTTP {status}, no statement")
    if said.get("logout"):
        return Reply(ReplyKind.LOGGED_OUT, Outcome.SESSION_EXPIRED)
    return _read_statement(said)


def _read_statement(said: Mapping[str, Any]) -> Reply:
    state, words, booking_id = whole(said.get("bookState")), words_of(said), said.get("id")
    if state in (_BOOKED, _ON_A_LIST):
        if not booking_id:
            return Reply(ReplyKind.NOTHING_SAID, detail="bookState without an id", book_state=state)
        kind = ReplyKind.BOOKED if state == _BOOKED else ReplyKind.ON_A_LIST
        return Reply(
            kind, Outcome.BOOKED if state == _BOOKED else None, words, storable(str(booking_id), _LONGEST_ID), state
        )
    if state == _TOO_MANY_DAYS_AHEAD:
        return Reply(ReplyKind.TOO_EARLY, Outcome.TOO_EARLY, words, book_state=state)
    if state == _GENERIC:
        return _read_generic(said, words)
    if state is None and not words:
        return Reply(ReplyKind.NOTHING_SAID, detail="no bookState")
    outcome = _REFUSALS.get(state, Outcome.REFUSED) if state is not None else Outcome.REFUSED
    return Reply(ReplyKind.REFUSED, outcome, words, book_state=state)


def _read_generic(said: Mapping[str, Any], words: str) -> Reply:
    key = storable(str(said.get("errorMssgLang") or ""), _LONGEST_WORDS)
    if key in _TOO_EARLY_KEYS or (not key and _TOO_EARLY_TEXT.search(words)):
        return Reply(ReplyKind.TOO_EARLY, Outcome.TOO_EARLY, words, book_state=_GENERIC)
    if key == _SAME_HOUR_KEY or (not key and _SAME_HOUR_TEXT.search(words)):
        return Reply(ReplyKind.SAME_HOUR, Outcome.TIME_CLASH, words, book_state=_GENERIC)
    outcome = Outcome.LIMIT_REACHED if key == _LIMIT_KEY else Outcome.REFUSED
    return Reply(ReplyKind.REFUSED, outcome, words or key, book_state=_GENERIC)


def read_listing(said: Any) -> Listing:
    """Returns the classes of a day as this user sees them. Raises ValueError if it is not a listing."""
    read = read_rows(said)
    listing = Listing(complete=read.complete)
    for row in read.rows:
        listed = _read_class(row)
        if row.id not in listing or listed.book_state is not None:
            listing[row.id] = listed
    return listing


def _read_class(row: Row) -> ListedClass:
    reservation = row.fields.get("idres")
    state, known = _read_standing(row.fields)
    return ListedClass(
        book_state=state,
        standing_known=known,
        reservation_id=storable(str(reservation), _LONGEST_ID) if is_true(reservation) else None,
        cancelled=is_true(row.fields.get("cancelledId")),
        hour=f"{row.starts:%H:%M}" if row.starts else None,
        minutes=_minutes(row),
        name=plain_text(row.fields.get("className")) or None,
    )


def _minutes(row: Row) -> int | None:
    """Returns the length on the wall clock. A class that ends at or before its start ends on the next day."""
    if row.starts is None or row.ends is None:
        return None
    starts, ends = (60 * one.hour + one.minute for one in (row.starts, row.ends))
    return (ends - starts) % _MINUTES_A_DAY or None


def _read_standing(row: Mapping[str, Any]) -> tuple[int | None, bool]:
    """Returns the user's state in the class (None: not in it), and whether the row says so at all."""
    said = row.get("bookState")
    state = whole(said)
    if state in (_BOOKED, _ON_A_LIST):
        return state, True
    tells = "idres" in row if "bookState" not in row else said in (None, "", False)
    return None, tells and not is_true(row.get("idres"))


def read_whoami(said: Any) -> bool:
    """Returns whether the session is alive. Raises ValueError if the answer does not say."""
    if not isinstance(said, dict) or not ("logout" in said or isinstance(said.get("data"), list)):
        raise ValueError("not an answer to whoami")
    return not said.get("logout") and bool(said.get("data"))


def read_new_token(said: Any) -> str | None:
    """Returns the new token, or None if the session is dead. Raises ValueError if the answer does not say."""
    if isinstance(said, dict) and said.get("logout"):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("newToken"), str) or not said["newToken"]:
        raise ValueError("not a new token")
    return str(said["newToken"])


def words_of(said: Mapping[str, Any]) -> str:
    """Returns the box's message to people, without HTML."""
    text = next((said[name] for name in _TEXTS if isinstance(said.get(name), str) and said[name]), "")
    # Cut first: a megabyte of "<" alone would take the expression minutes, and the event loop with it.
    return storable(" ".join(re.sub(r"<[^>]*>", " ", text[:_LONGEST_MARKED_UP]).split()), _LONGEST_WORDS)


def plain_text(said: Any) -> str:
    """Returns a name without the HTML escapes that PHP writes."""
    words = html.unescape(str(said)[:_LONGEST_MARKED_UP]).split()
    return "" if said is None else storable(" ".join(words), _LONGEST_NAME)


def storable(text: str, longest: int) -> str:
    """Returns the first characters, without those that the database does not store: U+0000, lone surrogates."""
    return "".join(c for c in text[: 2 * longest] if c.isprintable())[:longest]
