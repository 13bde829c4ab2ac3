"""What time others have: the Date of their answers, which is whole seconds."""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from prebooking.adapters.tls import trusted

_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Heard:
    """`ahead_s`: how far their clock is ahead of ours at least, to half a second; None: they did not say."""

    status: int
    ahead_s: float | None


async def hear(url: str, proxy: str | None = None) -> Heard | str:
    """What is answered there; a text says why nothing was heard."""
    try:
        async with httpx.AsyncClient(verify=trusted(), timeout=_WITHIN_S, trust_env=False, proxy=proxy) as http:
            asked = time.time()
            answer = await http.get(url)
            answered = time.time()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        return f"{type(exc).__name__}: {exc}".removesuffix(": ")
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5
        # It was that at some instant between: the nearest one, since an answer may have been long on its way.
        ahead = theirs - min(max(theirs, asked), answered)
    except (KeyError, ValueError, TypeError):
        ahead = None
    return Heard(answer.status_code, ahead)
