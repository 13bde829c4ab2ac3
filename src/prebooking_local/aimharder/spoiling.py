"""Changes an answer as a fault requires."""

import gzip
import json
from collections.abc import Callable
from functools import lru_cache

from prebooking_local.aimharder.answers import LOGOUT
from prebooking_local.aimharder.faults import Fault, Kind
from prebooking_local.aimharder.listing import reshaped
from prebooking_local.aimharder.wire import JSON, Answer, as_html, as_json, redirect

_LOGIN_PAGE = '<form method="post" action="/login"><input name="mail"><input name="pw" type="password"></form>'
_TEXT_WITH_TAGS = "<b>No ha sido posible</b> realizar la reserva.<br/>Consulta al centro"


@lru_cache(maxsize=4)
def _blanks_zipped(size: int) -> bytes:
    """Blanks are legal before JSON: only its size is wrong with this body."""
    return gzip.compress(b" " * size + b"{}", compresslevel=1)


def _error_page(status: int) -> Answer:
    match status:
        case 403:
            return as_html("<h1>403 Forbidden</h1>Your IP has been blocked", status)
        case 429:
            # Invented: nobody has seen AimHarder throttle.
            answer = as_html("<h1>429 Too Many Requests</h1>", status)
            answer.headers.append(("Retry-After", "5"))
            return answer
        case _:
            return as_html(f"<h1>{status}</h1>", status)


def _huge(fault: Fault, decided: Answer) -> Answer:
    return Answer(200, b" " * fault.bytes + decided.body, JSON)


def _gzip_bomb(fault: Fault, _: Answer) -> Answer:
    return Answer(200, _blanks_zipped(fault.bytes), JSON, headers=[("Content-Encoding", "gzip")])


def _redirect(fault: Fault, _: Answer) -> Answer:
    return redirect(fault.location, 302)


_INSTEAD: dict[Kind, Callable[[Fault, Answer], Answer]] = {
    "status": lambda fault, _: _error_page(fault.status),
    "login_page": lambda _, __: as_html(_LOGIN_PAGE),
    "empty": lambda _, __: Answer(200, b"", JSON),
    "html_text": lambda _, __: as_json({"errorMssg": _TEXT_WITH_TAGS}),
    "redirect": _redirect,
    "shape": lambda fault, decided: as_json(reshaped(json.loads(decided.body), fault.shape)),
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
    "logout": lambda _, __: as_json(LOGOUT),
}


def spoil(fault: Fault, decided: Answer) -> Answer:
    """Returns the answer to send; a slow one is as decided, and the kinds that break the connection send none."""
    return _INSTEAD[fault.kind](fault, decided) if fault.kind in _INSTEAD else decided
