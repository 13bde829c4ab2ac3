"""Is QStash there, ours, and does it reach the service?"""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

from prebooking.adapters.qstash import status_of
from prebooking.adapters.qstash_account import DeadLetter, QStashAccount
from prebooking.adapters.supabase_rpc import SupabaseRpc
from prebooking.domain.errors import MessagingError
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.settings import Settings

_SUBJECT = "QStash"
_REACH = "PUBLIC_URL"
_LOOK_AGAIN_S = 0.25
_UNAUTHORIZED, _NOT_FOUND = 401, 404


async def look_at_account(account: QStashAccount, settings: Settings) -> tuple[bool, list[Finding]]:
    """Whether it takes orders from us."""
    try:
        current, following = await account.signing_keys()
    except MessagingError as exc:
        return False, [_unanswered(exc, settings)]
    findings = [good(_SUBJECT, "token", f"takes the token at {settings.qstash_url}")]
    ours = settings.qstash_current_signing_key.get_secret_value(), settings.qstash_next_signing_key.get_secret_value()
    if ours == (current, following):
        findings.append(good(_SUBJECT, "signing-keys", "signs with the keys that are set here"))
    elif ours[1] == current:
        findings.append(
            bad(
                _SUBJECT,
                "signing-keys",
                "has rolled its signing keys once: deliveries are still believed, after another roll they are not",
                "copy both signing keys from QStash's console and deploy before you roll again",
            )
        )
    else:
        findings.append(
            bad(
                _SUBJECT,
                "signing-keys",
                "signs with other keys: each delivery is refused",
                "copy QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY of the region of QSTASH_URL",
            )
        )
    findings += [*await _schedule(account, settings)]
    return True, findings


def _unanswered(exc: MessagingError, settings: Settings) -> Finding:
    if status_of(exc.__cause__) == _UNAUTHORIZED:
        return bad(
            _SUBJECT,
            "token",
            f"refuses the token at {settings.qstash_url}",
            "copy QSTASH_TOKEN anew, without quotes; each region has a token and a QSTASH_URL of its own",
        )
    return bad(
        _SUBJECT,
        "reachable",
        f"does not answer at {settings.qstash_url} ({exc})",
        "check QSTASH_URL and that this host can reach it; until then the sweep of a living replica books",
    )


async def _schedule(account: QStashAccount, settings: Settings) -> list[Finding]:
    needed = not settings.sweep_seconds
    order = "run `prebooking schedule-sweep`"
    url = f"{settings.public_url}/qstash/sweep"
    found = await account.sweep_schedule()
    if found is None and needed:
        told = "has no schedule for the sweep, and SWEEP_SECONDS=0: nothing repairs, nobody is told"
        return [bad(_SUBJECT, "schedule", told, order)]
    if found is None:
        return [good(_SUBJECT, "schedule", f"needs no schedule: replicas sweep every {settings.sweep_seconds:g} s")]
    if found.destination != url:
        return [bad(_SUBJECT, "schedule", f"calls the sweep at {found.destination}, not at {url}", order)]
    if found.paused:
        return [bad(_SUBJECT, "schedule", "has the sweep's schedule paused", "resume it in QStash's console")]
    return [good(_SUBJECT, "schedule", f"calls the sweep by `{found.cron}`")]


async def look_at_dead_letters(account: QStashAccount, settings: Settings) -> Iterator[Finding]:
    letters = [letter for letter in await account.dead_letters() if letter.url.startswith(f"{settings.public_url}/")]
    if not letters:
        return iter([good(_SUBJECT, "dead-letters", "holds no dead letter for this service")])
    last = max(letters, key=lambda letter: letter.created_at)
    status = f"HTTP {last.status}" if last.status else "no answer"
    told = f"gave up on {len(letters)} messages, last on {last.created_at:%d %b at %H:%M} UTC: {status}"
    return iter([bad(_SUBJECT, "dead-letters", told, "see `prebooking dlq`, then `prebooking dlq --redrive`")])


async def look_from_outside(
    account: QStashAccount, rpc: SupabaseRpc, settings: Settings, *, within_s: float
) -> Finding:
    """A signed message of our own, on the way that each delivery takes."""
    url, ping_id = f"{settings.public_url}/qstash/ping", uuid4()
    try:
        message_id = await account.ping(url, ping_id)
    except MessagingError as exc:
        host = urlsplit(settings.public_url).hostname
        return bad(_REACH, "reach", f"is refused by QStash ({exc})", f"{host} must be a host that the world reaches")
    started = time.monotonic()
    while time.monotonic() - started < within_s:
        if (await rpc.call("read_ping", id=ping_id))["arrived_at"]:
            took = time.monotonic() - started
            return good(_REACH, "reach", f"QStash reaches it and is believed, in {took:.1f} s")
        for letter in await account.dead_letters(most=100):
            if letter.message_id == message_id:
                await account.forget(letter.id)
                return _undelivered(letter, settings)
        await asyncio.sleep(_LOOK_AGAIN_S)
    return note(
        _REACH,
        "reach",
        f"no test message came through within {within_s:.0f} s",
        "QStash is late, or another database than this one noted it: ask again; then compare SUPABASE_URL there",
    )


def _undelivered(letter: DeadLetter, settings: Settings) -> Finding:
    if letter.status == _UNAUTHORIZED:
        return bad(
            _REACH,
            "reach",
            "is reached, but does not believe QStash",
            f"the service there must have PUBLIC_URL={settings.public_url} and this account's signing keys: restart it "
            "with the same settings",
        )
    if letter.status == _NOT_FOUND:
        told = "is reached, but something else answers there (HTTP 404)"
        return bad(_REACH, "reach", told, "point PUBLIC_URL at this service, path included; deploy this release there")
    if letter.status is None:
        told = "is not reached by QStash: no answer"
        return bad(_REACH, "reach", told, "check PUBLIC_URL, DNS, TLS certificate and firewall, and that it is running")
    return bad(
        _REACH,
        "reach",
        f"answers HTTP {letter.status}: {letter.said[:120]}",
        "see what the service logs under that instant; a proxy before it may answer in its stead",
    )
