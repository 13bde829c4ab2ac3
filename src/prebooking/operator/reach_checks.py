"""Does QStash reach the service at PUBLIC_URL, and who answers there if not?"""

import asyncio
import time
from uuid import uuid4

from prebooking.adapters.host_probe import HostResponse, Silence, hear
from prebooking.adapters.qstash.account import DeadLetter, answered_by_us
from prebooking.domain.errors import MessagingError, PrebookingError
from prebooking.domain.plain_text import printable
from prebooking.operator.case import Case
from prebooking.operator.findings import Finding, State, bad, good, note
from prebooking.operator.reach_causes import Found, is_alive, who_answers, why_refused
from prebooking.settings import Settings

_REACH = "PUBLIC_URL"
_LOOK_AGAIN_S = 0.25
_LATE = "QStash is late, or another database than this one noted it: ask again; then compare SUPABASE_URL there"


async def look_from_outside(case: Case) -> list[Finding]:
    tried = case.takes_orders and case.inspection is not None
    found = await (_ping(case) if tried else _from_here(case.settings))
    case.misses = found.state is State.BAD
    return [found]


async def _ping(case: Case) -> Finding:
    """A signed message of our own, on the way that each delivery takes."""
    settings = case.settings
    account, ping_id = await case.account(), uuid4()
    try:
        message_id = await account.ping(f"{settings.public_url}/qstash/ping", ping_id)
    except MessagingError as exc:
        return _found(why_refused(exc, settings))
    started = time.monotonic()
    while time.monotonic() - started < case.within_s:
        if await _came(case, str(ping_id)):
            took = time.monotonic() - started
            return good(_REACH, "reach", f"QStash reaches it and is believed, in {took:.1f} s")
        for letter in await account.dead_letters(most=100):
            if letter.message_id == message_id:
                await account.forget(letter.id)
                return await _undelivered(letter, settings)
        await asyncio.sleep(_LOOK_AGAIN_S)
    heard = await _stranger(settings)
    if isinstance(heard, HostResponse) and not is_alive(heard) and not answered_by_us(heard.body):
        return _found(who_answers(heard, settings))
    return note(_REACH, "reach", f"no test message came through within {case.within_s:.0f} s", _LATE)


async def _from_here(settings: Settings) -> Finding:
    """While QStash or the database is away: who answers, at least."""
    heard = await _stranger(settings)
    if isinstance(heard, HostResponse) and not is_alive(heard) and not answered_by_us(heard.body):
        return _found(who_answers(heard, settings))
    told = "is not tried from outside, which takes QStash and the database"
    return note(_REACH, "reach", told, "mend these first, then ask again")


async def _stranger(settings: Settings) -> HostResponse | Silence:
    """What is answered to a request that nobody signed, with the headers that QStash brings along."""
    return await hear(f"{settings.public_url}/healthz", headers=settings.forward_headers)


async def _came(case: Case, ping_id: str) -> bool:
    try:
        return (await (await case.rpc()).call("read_ping", id=ping_id)).get("arrived_at") is not None
    except PrebookingError:
        return False  # silent for a moment: it is asked again


async def _undelivered(letter: DeadLetter, settings: Settings) -> Finding:
    if letter.status == 401 and letter.by_us:  # noqa: PLR2004
        return bad(
            _REACH,
            "reach",
            "is reached, but does not believe QStash",
            f"the service there must have PUBLIC_URL={settings.public_url} and this account's signing keys: restart it "
            "with the same settings",
        )
    heard = await _stranger(settings)
    if letter.status is None:
        told = "is not reached by QStash: no answer"
        if isinstance(heard, Silence):
            told += f" ({heard.told})"
        return bad(_REACH, "reach", told, "check PUBLIC_URL, DNS, TLS certificate and firewall, and that it is running")
    if letter.by_us:
        return _ours(letter)
    # What QStash was answered; the headers are those that this host is answered.
    headers = heard.headers if isinstance(heard, HostResponse) else {}
    return _found(
        who_answers(HostResponse(status=letter.status, headers=headers, body=letter.said, ahead_s=None), settings)
    )


def _ours(letter: DeadLetter) -> Finding:
    """A problem of this service's own."""
    said = f"HTTP {letter.status}: {printable(letter.said)[:120]}"
    if letter.status == 404:  # noqa: PLR2004
        told = "is this service, but it has no such path (HTTP 404)"
        fix = "take the path away that PUBLIC_URL has too many, or have the proxy before it take it away"
        return bad(_REACH, "reach", told, f"{fix}; or deploy this release there")
    if letter.status == 503:  # noqa: PLR2004
        told = f"is reached, but has no database there ({said})"
        return bad(_REACH, "reach", told, "compare SUPABASE_URL and SUPABASE_SECRET_KEY there with those here")
    return bad(_REACH, "reach", f"answers {said}", "see what the service logs under that instant")


def _found(found: Found) -> Finding:
    return bad(_REACH, "reach", found.told, found.fix)
