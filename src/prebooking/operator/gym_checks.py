"""Checks that AimHarder's account host, its login host and the gyms of pending prebookings respond."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus

from prebooking.adapters.aimharder.hosts import under
from prebooking.adapters.host_probe import HostResponse, Silence, Why, probe
from prebooking.domain.cookies import Domain
from prebooking.domain.plain_text import printable
from prebooking.domain.prebooking import Box
from prebooking.operator.check_context import CheckContext
from prebooking.operator.clock_checks import check_aimharder_clock
from prebooking.operator.findings import Finding, State, bad, good, note
from prebooking.settings import Settings

_SUBJECT = "AimHarder"
_BOX = "{box}"
_UNKNOWN = "www"  # any host of AimHarder's while no gym is known
_MOST_BOXES = 3
_BLOCKED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS)


async def check_account_host(context: CheckContext) -> list[Finding]:
    """Asks the account hosts of both domains. That of .es matters where a gym under it is booked."""
    settings = context.settings
    url = settings.aimharder_account_url
    spanish = under(Domain.ES, url)
    if spanish == url:
        return await _check_account_host(url, settings)
    found, of_spanish = await asyncio.gather(_check_account_host(url, settings), _check_account_host(spanish, settings))
    if not any(box.domain is Domain.ES for box in _boxes(context)):
        of_spanish = [_of_no_use_yet(finding) if finding.state is State.BAD else finding for finding in of_spanish]
    return [*found, *of_spanish]


async def _check_account_host(url: str, settings: Settings) -> list[Finding]:
    response = await probe(f"{url}/api/whoami", settings.aimharder_proxy)
    finding = _unusable(response, "aimharder", f"at {url}", "AIMHARDER_ACCOUNT_URL", settings)
    if finding is not None:
        return [finding]
    assert isinstance(response, HostResponse)
    return [good(_SUBJECT, "aimharder", f"responds at {url}"), *check_aimharder_clock(response)]


def _of_no_use_yet(finding: Finding) -> Finding:
    return note(
        finding.subject, finding.check, f"{finding.message}; no gym under {Domain.ES} is booked, so it can wait"
    )


async def check_login_host(context: CheckContext) -> list[Finding]:
    """Does not attempt to sign in: AimHarder counts attempts."""
    settings = context.settings
    url = settings.aimharder_login_url
    response = await probe(f"{url}/", settings.aimharder_proxy)
    if isinstance(response, HostResponse) and _is_free(response.status):
        return [good(_SUBJECT, "login", f"the login host responds at {url}")]
    finding = _unusable(response, "login", f"at {url}", "AIMHARDER_LOGIN_URL", settings)
    return [finding] if finding else []


async def check_boxes(context: CheckContext) -> list[Finding]:
    settings = context.settings
    pattern = settings.aimharder_box_url
    boxes = _boxes(context)
    if _BOX not in pattern and len(boxes) > 1:
        message = f"AIMHARDER_BOX_URL is the address of one gym, {printable(pattern)}, but {len(boxes)} gyms are booked"
        return [
            bad(_SUBJECT, "box", message, "write {box} in place of the gym's sub-domain: https://{box}.aimharder.com")
        ]
    asked: list[Box | None] = [*boxes] or [None]
    return list(await asyncio.gather(*(_check_box(box, settings) for box in asked)))


def _boxes(context: CheckContext) -> list[Box]:
    """Returns the gyms of pending prebookings and of the legacy box."""
    rows = [*context.inspection.next, *context.inspection.last] if context.inspection else []
    boxes = (row.box(context.settings.legacy_box) for row in rows)
    known = {box.host: box for box in (context.settings.legacy_box, *boxes) if box is not None}
    return list(known.values())[:_MOST_BOXES]


async def _check_box(box: Box | None, settings: Settings) -> Finding:
    pattern = settings.aimharder_box_url
    name, number = (box.subdomain, box.aimharder_id) if box else (_UNKNOWN, "")
    base = under(box.domain if box else None, pattern).replace(_BOX, name)
    response = await probe(f"{base}/api/bookings?box={number}&day=20300101&familyId=", settings.aimharder_proxy)
    where = f"at {base}"
    if box is None and _BOX in pattern and isinstance(response, HostResponse) and _is_free(response.status):
        return good(_SUBJECT, "box", f"gyms are requested at {pattern}; none is known yet")
    setting = "AIMHARDER_BOX_URL"
    if settings.legacy_box is not None and box == settings.legacy_box:
        setting = "LEGACY_BOX_SUBDOMAIN and AIMHARDER_BOX_URL"
    finding = _unusable(response, "box", where, setting, settings)
    return finding or good(_SUBJECT, "box", f"the gym {name if box else ''} responds {where}".replace("  ", " "))


def _is_free(status: int) -> bool:
    """Whether the response is neither a block nor an error; a host that is no gym may respond anything else."""
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in (
        *_BLOCKED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    )


def _unusable(
    response: HostResponse | Silence, check: str, where: str, setting: str, settings: Settings
) -> Finding | None:
    problem = next(_problems(response, where, setting, settings), None)
    return None if problem is None else bad(_SUBJECT, check, *problem)


def _problems(
    response: HostResponse | Silence, where: str, setting: str, settings: Settings
) -> Iterator[tuple[str, str]]:
    proxy = settings.aimharder_proxy
    if isinstance(response, Silence):
        yield _silent(response, where, setting, through_proxy=proxy is not None)
        return
    status = response.status
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        yield (
            f"is not reached: AIMHARDER_PROXY requires a password ({status})",
            "put user:password@ into AIMHARDER_PROXY",
        )
    elif status in _BLOCKED:
        fix = "set AIMHARDER_PROXY to a proxy in the gym's country"
        yield (
            f"blocks this host {where} (HTTP {status})",
            fix if proxy is None else f"{fix}: the current one is blocked",
        )
    elif status in range(300, 400) or response.location:
        to = response.location or "elsewhere"
        fix = f"correct {setting}: neither a gym nor the account host redirects; this one redirects to {to}"
        yield f"is not {where}: it redirects to {to} (HTTP {status})", fix
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fix = f"wait if AimHarder itself is down, else check {setting}" + (" and AIMHARDER_PROXY" if proxy else "")
        yield f"responds with an error {where} ({response.summary})", fix
    elif status != HTTPStatus.OK:
        yield (
            f"was not found {where}: another server responds ({response.summary})",
            f"correct {setting}: AimHarder has no such address",
        )
    elif not isinstance(response.content, dict):
        yield (
            f"was not found {where}: the response is not JSON ({response.summary})",
            f"correct {setting}; a block page is another possible cause",
        )


def _silent(silence: Silence, where: str, setting: str, *, through_proxy: bool) -> tuple[str, str]:
    message = f"does not respond {where} ({silence.summary})"
    if through_proxy:
        return (
            f"{message} through AIMHARDER_PROXY",
            f"check first that AIMHARDER_PROXY responds and accepts its password; then check {setting}",
        )
    if silence.why is Why.NAME:
        return message, f"check the name in {setting}, and this host's DNS"
    return message, f"check {setting}; if AimHarder blocks this host's country, set AIMHARDER_PROXY"
