"""Checks that QStash reaches the service at PUBLIC_URL, and if not, finds out which server responds there."""

import asyncio
import time
from uuid import uuid4

from prebooking.adapters.host_probe import HostResponse, Silence, probe
from prebooking.adapters.qstash.account import DeadLetter, answered_by_us
from prebooking.domain.errors import MessagingError, PrebookingError
from prebooking.domain.plain_text import printable
from prebooking.operator.check_context import CheckContext
from prebooking.operator.findings import Finding, State, bad, good, note
from prebooking.operator.reach_causes import Cause, identify, is_alive, why_refused
from prebooking.settings import Settings

_REACH = "PUBLIC_URL"
_LOOK_AGAIN_S = 0.25
_LATE = "QStash is late, or the service uses another database: run doctor again, then compare SUPABASE_URL there"


async def check_public_url(context: CheckContext) -> list[Finding]:
    tried = context.accepts_token and context.inspection is not None
    found = await (_ping(context) if tried else _from_here(context.settings))
    context.unreachable = found.state is State.BAD
    return [found]


async def _ping(context: CheckContext) -> Finding:
    """Sends a test message through QStash, on the path of every delivery."""
    settings = context.settings
    account, ping_id = await context.account(), uuid4()
    try:
        message_id = await account.ping(f"{settings.public_url}/qstash/ping", ping_id)
    except MessagingError as exc:
        return _finding(why_refused(exc, settings))
    started = time.monotonic()
    while time.monotonic() - started < context.within_s:
        if await _arrived(context, str(ping_id)):
            took = time.monotonic() - started
            return good(_REACH, "reach", f"QStash reaches it, and its signature is accepted ({took:.1f} s)")
        for letter in await account.dead_letters(most=100):
            if letter.message_id == message_id:
                await account.forget(letter.id)
                return await _undelivered(letter, settings)
        await asyncio.sleep(_LOOK_AGAIN_S)
    response = await _probe(settings)
    if isinstance(response, HostResponse) and not is_alive(response) and not answered_by_us(response.body):
        return _finding(identify(response, settings))
    return note(_REACH, "reach", f"the test message did not arrive within {context.within_s:.0f} s", _LATE)


async def _from_here(settings: Settings) -> Finding:
    """Checks from this host only, while QStash or the database is unavailable."""
    response = await _probe(settings)
    if isinstance(response, HostResponse) and not is_alive(response) and not answered_by_us(response.body):
        return _finding(identify(response, settings))
    message = "was not tested from outside, which needs QStash and the database"
    return note(_REACH, "reach", message, "fix these first, then run doctor again")


async def _probe(settings: Settings) -> HostResponse | Silence:
    """Requests /healthz from this host, with the headers that QStash forwards."""
    return await probe(f"{settings.public_url}/healthz", headers=settings.forward_headers)


async def _arrived(context: CheckContext, ping_id: str) -> bool:
    try:
        return (await (await context.rpc()).call("read_ping", id=ping_id)).get("arrived_at") is not None
    except PrebookingError:
        return False  # asked again in a moment


async def _undelivered(letter: DeadLetter, settings: Settings) -> Finding:
    if letter.status == 401 and letter.by_us:  # noqa: PLR2004
        return bad(
            _REACH,
            "reach",
            "is reached, but refuses QStash's signature",
            f"restart the service there with PUBLIC_URL={settings.public_url} and this account's signing keys",
        )
    response = await _probe(settings)
    if letter.status is None:
        message = "is not reached by QStash: no response"
        if isinstance(response, Silence):
            message += f" ({response.summary})"
        return bad(
            _REACH, "reach", message, "check PUBLIC_URL, DNS, TLS certificate and firewall, and that the service runs"
        )
    if letter.by_us:
        return _ours(letter)
    # The response that QStash got, with the headers of the response to this host.
    headers = response.headers if isinstance(response, HostResponse) else {}
    return _finding(
        identify(HostResponse(status=letter.status, headers=headers, body=letter.said, ahead_s=None), settings)
    )


def _ours(letter: DeadLetter) -> Finding:
    """Explains a problem response of this service."""
    summary = f"HTTP {letter.status}: {printable(letter.said)[:120]}"
    if letter.status == 404:  # noqa: PLR2004
        message = "is this service, but it has no such path (HTTP 404)"
        fix = "remove the surplus path from PUBLIC_URL, or have the proxy strip it"
        return bad(_REACH, "reach", message, f"{fix}; or deploy this release there")
    if letter.status == 503:  # noqa: PLR2004
        message = f"is reached, but has no database there ({summary})"
        return bad(_REACH, "reach", message, "compare SUPABASE_URL and SUPABASE_SECRET_KEY there with those here")
    return bad(_REACH, "reach", f"responds {summary}", "check what the service logged at that time")


def _finding(cause: Cause) -> Finding:
    return bad(_REACH, "reach", cause.message, cause.fix)
