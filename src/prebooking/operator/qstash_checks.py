"""Is QStash there, and ours: token, region, signing keys, the sweep's schedule, dead letters?"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from prebooking.adapters.host_probe import Silence, hear
from prebooking.adapters.qstash.account import Schedule
from prebooking.adapters.qstash.messages import SWEEP_SCHEDULE, status_of
from prebooking.domain.errors import MessagingError
from prebooking.domain.plain_text import printable
from prebooking.operator.case import Case
from prebooking.operator.dlq import look as look_at_letters
from prebooking.operator.findings import Finding, State, bad, good, note
from prebooking.settings import Settings

_SUBJECT = "QStash"
_SWEEP = "/qstash/sweep"
_ROLL = "copy both signing keys from QStash's console and deploy before you roll again"
_OTHERS = "copy QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY of the region of QSTASH_URL"
_REGIONS = "https://qstash-us-east-1.upstash.io or https://qstash-eu-central-1.upstash.io"


async def look_at_account(case: Case) -> list[Finding]:
    """Whether it takes orders from us."""
    settings = case.settings
    try:
        account = await case.account()
        of_theirs = await account.signing_keys()
        schedules = await account.schedules()
    except MessagingError as exc:
        return [await _unanswered(exc, settings)]
    case.takes_orders = True
    found = next((one for one in schedules if one.id == SWEEP_SCHEDULE), None)
    return [
        good(_SUBJECT, "token", f"takes the token at {settings.qstash_url}"),
        _signing_keys(settings, of_theirs),
        _schedule(found, settings),
        *_elsewhere([one.destination for one in schedules if one.id != SWEEP_SCHEDULE], settings),
    ]


async def _unanswered(exc: MessagingError, settings: Settings) -> Finding:
    url, status, said = settings.qstash_url, status_of(exc.__cause__), str(exc).lower()
    if settings.qstash_token.get_secret_value().startswith("sig_"):
        told = "is asked with a signing key in place of the token"
        return bad(_SUBJECT, "token", told, "set QSTASH_TOKEN to the token that stands above the signing keys")
    if status == 404 and "region" in said:  # noqa: PLR2004
        told = f"does not know the token in the region of {url} (HTTP 404)"
        return bad(_SUBJECT, "token", told, f"set QSTASH_URL to the address that stands beside the token, {_REGIONS}")
    if status == 404:  # noqa: PLR2004
        path = urlsplit(url).path
        fix = f"take {path} away: QSTASH_URL is the address alone" if path else f"set QSTASH_URL to {_REGIONS}"
        return bad(_SUBJECT, "reachable", f"is not at {url}: something else answers (HTTP 404)", fix)
    refused: dict[int, tuple[str, str]] = {
        401: (
            f"refuses the token at {url}",
            "copy QSTASH_TOKEN anew, without quotes; each region has a token and a QSTASH_URL of its own",
        ),
        403: (f"does not let the token in at {url} (HTTP 403)", "copy QSTASH_TOKEN anew, not the read-only token"),
        429: ("takes no more of this account (HTTP 429)", "wait, or raise the plan: its limit of the day is used up"),
    }
    if status in refused:
        return bad(_SUBJECT, "token", *refused[status])
    return bad(_SUBJECT, "reachable", *await _unreached(exc, settings))


async def _unreached(exc: MessagingError, settings: Settings) -> tuple[str, str]:
    url = settings.qstash_url
    fix = "check QSTASH_URL and that this host can reach it; until then the sweep of a living replica books"
    heard = await hear(f"{url}/v2/keys")
    if isinstance(heard, Silence):
        return f"does not answer at {url} ({heard.told})", fix
    if heard.location:
        return f"is not at {url}: it redirects ({heard.told})", f"set QSTASH_URL to where it leads, {heard.location}"
    if heard.content is None:
        return f"is not at {url}: something else answers ({heard.told})", f"set QSTASH_URL to {_REGIONS}"
    return f"does not answer at {url} ({printable(str(exc))})", fix


def _signing_keys(settings: Settings, theirs: tuple[str, str]) -> Finding:
    """While a region moves one of two pairs is theirs."""
    findings = [_pair(ours, theirs) for ours in settings.signing_keys]
    return next((one for one in findings if one.state is State.GOOD), findings[0])


def _pair(ours: tuple[str, str], theirs: tuple[str, str]) -> Finding:
    check = "signing-keys"
    if ours == theirs:
        return good(_SUBJECT, check, "signs with the keys that are set here")
    if ours == theirs[::-1]:
        told = "has the current key where the next one is set, and the other way round: no roll would be survived"
        return bad(_SUBJECT, check, told, "exchange QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY")
    if ours[1] == theirs[0]:
        told = "has rolled its signing keys once: deliveries are still believed, after another roll they are not"
        return bad(_SUBJECT, check, told, _ROLL)
    if ours[0] == theirs[0]:
        told = "has another next key than QSTASH_NEXT_SIGNING_KEY, so that after a roll no delivery is believed"
        return bad(_SUBJECT, check, told, _ROLL)
    return bad(_SUBJECT, check, "signs with other keys: each delivery is refused", _OTHERS)


def _schedule(found: Schedule | None, settings: Settings) -> Finding:
    order = "run `prebooking schedule-sweep`"
    url = f"{settings.public_url}{_SWEEP}"
    if found is None:
        if not settings.sweep_seconds:
            told = "has no schedule for the sweep, and SWEEP_SECONDS=0: nothing repairs, nobody is told"
            return bad(_SUBJECT, "schedule", told, order)
        return good(_SUBJECT, "schedule", f"needs no schedule: replicas sweep every {settings.sweep_seconds:g} s")
    if found.destination != url:
        return bad(_SUBJECT, "schedule", f"calls the sweep at {printable(found.destination)}, not at {url}", order)
    if found.paused:
        return bad(_SUBJECT, "schedule", "has the sweep's schedule paused", "resume it in QStash's console")
    return good(_SUBJECT, "schedule", f"calls the sweep by `{found.cron}`")


def _elsewhere(destinations: list[str], settings: Settings) -> Iterator[Finding]:
    """Schedules under other names: of another installation, or left over from an earlier address."""
    for url in destinations:
        if url.endswith(_SWEEP) and url != f"{settings.public_url}{_SWEEP}":
            told = f"also calls a sweep at {printable(url)}"
            yield note(
                _SUBJECT, "schedule-elsewhere", told, "delete that schedule if nothing of yours is there any more"
            )


async def look_at_dead_letters(case: Case) -> list[Finding]:
    """Those for this address, and those for another one that are about prebookings of this database."""
    if not case.takes_orders or case.inspection is None:
        return []
    settings = case.settings
    letters = [one.letter for one in await look_at_letters(await case.account(), await case.rpc(), settings)]
    letters = [letter for letter in letters if urlsplit(letter.url).path.rpartition("/qstash/")[1]]
    if not letters:
        return [good(_SUBJECT, "dead-letters", "holds no dead letter for this service")]
    last = max(letters, key=lambda letter: letter.created_at)
    status = f"HTTP {last.status}" if last.status else "no answer"
    told = f"gave up on {len(letters)} messages, last on {last.created_at:%d %b at %H:%M} UTC: {status}"
    if not last.url.startswith(f"{settings.public_url}/"):
        told += f" at {printable(last.url.partition('/qstash/')[0])}, which is not PUBLIC_URL"
    return [bad(_SUBJECT, "dead-letters", told, "see `prebooking dlq`, then `prebooking dlq --redrive`")]
