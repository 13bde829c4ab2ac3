"""How long a failed delivery waits for its next attempt."""

import math
import re
from email.utils import parsedate_to_datetime

from prebooking_local.qstash.courier import Answer
from prebooking_local.qstash.expression import milliseconds

_DAY = 86400.0
_ASKING_HEADERS = (
    "retry-after",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|h|m|s)")
_GO_DURATION = re.compile(rf"(?:{_GO_PART.pattern})+")


def wait_before_retry(retry: int, expression: str | None, answer: Answer | None, *, now: float, speed: float) -> float:
    """Returns the seconds before the retry of that number, counted from 1.

    The destination's own wish is honoured first, and in real time: it names an instant. The speed shortens
    only what this server makes up itself.
    """
    asked = asked_wait(answer, now) if answer else None
    if asked is not None and asked <= _DAY:
        return asked
    if expression is not None:
        return milliseconds(expression, retry - 1) / 1000 / speed
    return min(_DAY, math.exp(min(2.5 * retry, 100))) / speed


def asked_wait(answer: Answer, now: float) -> float | None:
    for name in _ASKING_HEADERS:
        if (text := answer.header(name)) is not None:
            return _wait_of(text.strip(), now)
    return None


def _wait_of(text: str, now: float) -> float | None:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if _GO_DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _GO_PART.findall(text))
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None
