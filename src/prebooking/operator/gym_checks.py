"""Is AimHarder there: the account host, and the boxes of those who wait?"""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus

from prebooking.adapters.host_probe import HostResponse, Silence, Why, hear
from prebooking.domain.plain_text import printable
from prebooking.operator.case import Case
from prebooking.operator.clock_checks import look_at_aimharder_clock
from prebooking.operator.findings import Finding, bad, good
from prebooking.settings import Settings

_SUBJECT = "AimHarder"
_BOX = "{box}"
_UNKNOWN = "www"  # while no box is known: some host of AimHarder's
_MOST_BOXES = 3
_BLOCKED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS)


async def look_at_account_host(case: Case) -> list[Finding]:
    settings = case.settings
    url = settings.aimharder_account_url
    heard = await hear(f"{url}/api/whoami", settings.aimharder_proxy)
    told = _unusable(heard, "aimharder", f"at {url}", "AIMHARDER_ACCOUNT_URL", settings)
    if told is not None:
        return [told]
    assert isinstance(heard, HostResponse)
    return [good(_SUBJECT, "aimharder", f"answers at {url}"), *look_at_aimharder_clock(heard)]


async def look_at_login_host(case: Case) -> list[Finding]:
    """Without a try to sign in: those are counted there."""
    settings = case.settings
    url = settings.aimharder_login_url
    heard = await hear(f"{url}/", settings.aimharder_proxy)
    if isinstance(heard, HostResponse) and _is_free(heard.status):
        return [good(_SUBJECT, "login", f"members sign in at {url}")]
    told = _unusable(heard, "login", f"at {url}", "AIMHARDER_LOGIN_URL", settings)
    return [told] if told else []


async def look_at_boxes(case: Case) -> list[Finding]:
    settings = case.settings
    pattern = settings.aimharder_box_url
    boxes = _boxes(case)
    named = {name for name, _ in boxes}
    if _BOX not in pattern and len(named) > 1:
        told = f"AIMHARDER_BOX_URL is one box's, {printable(pattern)}, and {len(named)} boxes are booked"
        return [bad(_SUBJECT, "box", told, "write {box} in place of the box's sub-domain: https://{box}.aimharder.com")]
    return list(
        await asyncio.gather(*(_look_at_box(name, number, settings) for name, number in boxes or [(None, None)]))
    )


def _boxes(case: Case) -> list[tuple[str | None, str | None]]:
    """Of those who wait, and of adopted rows."""
    rows = [*case.inspection.next, *case.inspection.last] if case.inspection else []
    known: dict[str | None, str | None] = {row.box_subdomain: row.box_aimharder_id for row in rows if row.box_subdomain}
    legacy = case.settings.legacy_box
    if legacy is not None:
        known = {legacy.subdomain: legacy.aimharder_id, **known}
    return list(known.items())[:_MOST_BOXES]


async def _look_at_box(name: str | None, number: str | None, settings: Settings) -> Finding:
    pattern = settings.aimharder_box_url
    base = pattern.replace(_BOX, name or _UNKNOWN)
    heard = await hear(f"{base}/api/bookings?box={number or ''}&day=20300101&familyId=", settings.aimharder_proxy)
    where = f"at {base}"
    if name is None and _BOX in pattern and isinstance(heard, HostResponse) and _is_free(heard.status):
        return good(_SUBJECT, "box", f"boxes are looked for at {pattern}; none is known yet")
    setting = "AIMHARDER_BOX_URL"
    if settings.legacy_box is not None and name == settings.legacy_box.subdomain:
        setting = "LEGACY_BOX_SUBDOMAIN and AIMHARDER_BOX_URL"
    told = _unusable(heard, "box", where, setting, settings)
    return told or good(_SUBJECT, "box", f"the box {name or ''} answers {where}".replace("  ", " "))


def _is_free(status: int) -> bool:
    """Neither blocked nor broken: of a host that is no box any such answer will do."""
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in (
        *_BLOCKED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    )


def _unusable(
    heard: HostResponse | Silence, check: str, where: str, setting: str, settings: Settings
) -> Finding | None:
    told = next(_troubles(heard, where, setting, settings), None)
    return None if told is None else bad(_SUBJECT, check, *told)


def _troubles(heard: HostResponse | Silence, where: str, setting: str, settings: Settings) -> Iterator[tuple[str, str]]:
    proxy = settings.aimharder_proxy
    if isinstance(heard, Silence):
        yield _silent(heard, where, setting, through_proxy=proxy is not None)
        return
    status = heard.status
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        yield (
            f"is not reached: AIMHARDER_PROXY asks for a password ({status})",
            "put user:password@ into AIMHARDER_PROXY",
        )
    elif status in _BLOCKED:
        fix = "set AIMHARDER_PROXY to a proxy in the gym's country"
        yield (
            f"blocks this host {where} (HTTP {status})",
            fix if proxy is None else f"{fix}: the one that is set is blocked",
        )
    elif status in range(300, 400) or heard.location:
        to = heard.location or "elsewhere"
        fix = f"correct {setting}: an address that redirects is no box and no account host; it leads to {to}"
        yield f"is not {where}: it redirects to {to} (HTTP {status})", fix
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fix = f"wait if AimHarder itself is down, else check {setting}" + (" and AIMHARDER_PROXY" if proxy else "")
        yield f"is in trouble {where} ({heard.told})", fix
    elif status != HTTPStatus.OK:
        yield (
            f"is not {where}: something else answers ({heard.told})",
            f"correct {setting}: AimHarder has no such place",
        )
    elif not isinstance(heard.content, dict):
        yield (
            f"is not {where}: what answers is no JSON ({heard.told})",
            f"correct {setting}; a block page looks so, too",
        )


def _silent(silence: Silence, where: str, setting: str, *, through_proxy: bool) -> tuple[str, str]:
    told = f"does not answer {where} ({silence.told})"
    if through_proxy:
        return (
            f"{told} through AIMHARDER_PROXY",
            f"check AIMHARDER_PROXY first, whether it is there and lets you in; then {setting}",
        )
    if silence.why is Why.NAME:
        return told, f"check the name in {setting}, and this host's DNS"
    return told, f"check {setting}; where it blocks the host's country, set AIMHARDER_PROXY"
