"""`90s`, `1d10h30m`: the durations of QStash's headers."""

import re

from prebooking_local.qstash.refusal import RefusedError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WHOLE = re.compile(r"(\d+[smhd])+")
_PART = re.compile(r"(\d+)([smhd])")


def seconds_of(text: str, header: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise RefusedError(400, f"invalid {header}: {text!r} is not a duration such as 10s, 5m or 1d10h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
