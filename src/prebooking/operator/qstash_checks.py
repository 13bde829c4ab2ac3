"""Checks QStash: token, region, signing keys, the sweep's schedule, dead letters."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from prebooking.adapters.host_probe import Silence, probe
from prebooking.adapters.qstash.account import Schedule
from prebooking.adapters.qstash.messages import SWEEP_SCHEDULE
from prebooking.domain.errors import MessagingError, MessagingTrouble
from prebooking.domain.plain_text import printable
from prebooking.operator.check_context import CheckContext
from prebooking.operator.dlq import read as read_letters
from prebooking.operator.findings import Finding, State, bad, good, note
from prebooking.settings import Settings

_SUBJECT = "QStash"
_SWEEP = "/qstash/sweep"
_ROLL = "set both signing keys from QStash's console and deploy before you roll again"
_OTHERS = "set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY to those of the region of QSTASH_URL"
_REGIONS = "https://qstash-us-east-1.upstash.io or https://qstash-eu-central-1.upstash.io"


async def check_account(context: CheckContext) -> list[Finding]:
    """Checks token, signing keys and schedules."""
    settings = context.settings
    try:
        account = await context.account()
        of_theirs = await account.signing_keys()
        schedules = await account.schedules()
    except MessagingError as exc:
        return [await _unanswered(exc, settings)]
    context.accepts_token = True
    found = next((one for one in schedules if one.id == SWEEP_SCHEDULE), None)
    return [
        good(_SUBJECT, "token", f"accepts the token at {settings.qstash_url}"),
        _signing_keys(settings, of_theirs),
        _schedule(found, settings),
        *_elsewhere([one.destination for one in schedules if one.id != SWEEP_SCHEDULE], settings),
    ]


async def _unanswered(exc: MessagingError, settings: Settings) -> Finding:
    url = settings.qstash_url
    if settings.qstash_token.get_secret_value().startswith("sig_"):
        message = "is called with a signing key instead of the token"
        return bad(
            _SUBJECT, "token", message, "set QSTASH_TOKEN to the token, which the console shows above the signing keys"
        )
    if exc.trouble is MessagingTrouble.OTHER_REGION:
        message = f"does not know the token in the region of {url} (HTTP 404)"
        return bad(
            _SUBJECT, "token", message, f"set QSTASH_URL to the address beside the token in the console, {_REGIONS}"
        )
    if exc.trouble is MessagingTrouble.NOT_FOUND:
        path = urlsplit(url).path
        fix = f"remove {path} from QSTASH_URL" if path else f"set QSTASH_URL to {_REGIONS}"
        return bad(_SUBJECT, "reachable", f"was not found at {url}: another server responds (HTTP 404)", fix)
    refused = {
        MessagingTrouble.TOKEN_REFUSED: (
            f"refuses the token at {url}",
            "copy QSTASH_TOKEN again, without quotes; each region has its own token and QSTASH_URL",
        ),
        MessagingTrouble.READ_ONLY: (
            f"refuses the token at {url} (HTTP 403)",
            "set QSTASH_TOKEN to the token, not to the read-only one",
        ),
        MessagingTrouble.LIMITED: (
            "accepts no more messages from this account (HTTP 429)",
            "wait, or upgrade the plan: its daily limit is reached",
        ),
    }
    if exc.trouble in refused:
        return bad(_SUBJECT, "token", *refused[exc.trouble])
    return bad(_SUBJECT, "reachable", *await _unreached(exc, settings))


async def _unreached(exc: MessagingError, settings: Settings) -> tuple[str, str]:
    url = settings.qstash_url
    fix = "check QSTASH_URL and that this host can reach it; until then the sweep of a running replica books"
    response = await probe(f"{url}/v2/keys")
    if isinstance(response, Silence):
        return f"does not respond at {url} ({response.summary})", fix
    if response.location:
        return f"was not found at {url}: it redirects ({response.summary})", f"set QSTASH_URL to {response.location}"
    if response.content is None:
        return f"was not found at {url}: another server responds ({response.summary})", f"set QSTASH_URL to {_REGIONS}"
    return f"does not respond at {url} ({printable(str(exc))})", fix


def _signing_keys(settings: Settings, theirs: tuple[str, str]) -> Finding:
    """One pair that matches is enough: during a move between regions there are two."""
    findings = [_pair(ours, theirs) for ours in settings.signing_keys]
    return next((one for one in findings if one.state is State.GOOD), findings[0])


def _pair(ours: tuple[str, str], theirs: tuple[str, str]) -> Finding:
    check = "signing-keys"
    if ours == theirs:
        return good(_SUBJECT, check, "signs with the keys that are set here")
    if ours == theirs[::-1]:
        message = "has the current and the next signing key the other way round: after a roll every delivery is refused"
        return bad(_SUBJECT, check, message, "exchange QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY")
    if ours[1] == theirs[0]:
        message = "has rolled its signing keys once: deliveries are still accepted, but not after another roll"
        return bad(_SUBJECT, check, message, _ROLL)
    if ours[0] == theirs[0]:
        message = "has another next key than QSTASH_NEXT_SIGNING_KEY, so after a roll every delivery is refused"
        return bad(_SUBJECT, check, message, _ROLL)
    return bad(_SUBJECT, check, "signs with other keys: every delivery is refused", _OTHERS)


def _schedule(found: Schedule | None, settings: Settings) -> Finding:
    order = "run `prebooking schedule-sweep`"
    url = f"{settings.public_url}{_SWEEP}"
    if found is None:
        if not settings.sweep_seconds:
            message = (
                "has no schedule for the sweep, and SWEEP_SECONDS=0: nothing is repaired, and no notification is sent"
            )
            return bad(_SUBJECT, "schedule", message, order)
        return good(_SUBJECT, "schedule", f"needs no schedule: replicas sweep every {settings.sweep_seconds:g} s")
    if found.destination != url:
        return bad(_SUBJECT, "schedule", f"calls the sweep at {printable(found.destination)}, not at {url}", order)
    if found.paused:
        return bad(_SUBJECT, "schedule", "has paused the sweep's schedule", "resume it in QStash's console")
    return good(_SUBJECT, "schedule", f"calls the sweep on the schedule `{found.cron}`")


def _elsewhere(destinations: list[str], settings: Settings) -> Iterator[Finding]:
    """Yields schedules with other ids: of another installation, or of an earlier PUBLIC_URL."""
    for url in destinations:
        if url.endswith(_SWEEP) and url != f"{settings.public_url}{_SWEEP}":
            message = f"also calls a sweep at {printable(url)}"
            yield note(
                _SUBJECT,
                "schedule-elsewhere",
                message,
                "delete that schedule if the installation at that address is gone",
            )


async def check_dead_letters(context: CheckContext) -> list[Finding]:
    """Checks for dead letters of this PUBLIC_URL, and of prebookings of this database at other URLs."""
    if not context.accepts_token or context.inspection is None:
        return []
    settings = context.settings
    letters = [one.letter for one in await read_letters(await context.account(), await context.rpc(), settings)]
    letters = [letter for letter in letters if urlsplit(letter.url).path.rpartition("/qstash/")[1]]
    if not letters:
        return [good(_SUBJECT, "dead-letters", "has no dead letters of this service")]
    last = max(letters, key=lambda letter: letter.created_at)
    status = f"HTTP {last.status}" if last.status else "no answer"
    message = f"gave up on {len(letters)} messages, last on {last.created_at:%d %b at %H:%M} UTC: {status}"
    if not last.url.startswith(f"{settings.public_url}/"):
        message += f" at {printable(last.url.partition('/qstash/')[0])}, which is not PUBLIC_URL"
    return [bad(_SUBJECT, "dead-letters", message, "run `prebooking dlq`, then `prebooking dlq --redrive`")]
