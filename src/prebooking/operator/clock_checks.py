"""Do the clocks agree: this host's, the database's, QStash's, AimHarder's?"""

from prebooking.adapters.host_clocks import Heard, hear
from prebooking.operator.findings import Finding, bad, good, note
from prebooking.operator.inspection import Inspection
from prebooking.settings import Settings

_SUBJECT = "Clocks"
_TOLERANCE_S = 0.5
_WHOLE_SECONDS_S = 2.0  # what a Date of whole seconds and the way can make
# A busy server's Date lags by seconds; from 30 s on its signatures are refused.
_QSTASH_S = 5.0
_NTP = "let this host keep time by NTP (chrony, systemd-timesyncd)"


def look_at_database_clock(inspection: Inspection) -> Finding:
    ahead = inspection.now.timestamp() - inspection.host_now
    if abs(ahead) > _TOLERANCE_S + inspection.on_the_way_s:
        side = "behind" if ahead > 0 else "ahead of"
        told = f"this host is {abs(ahead):.1f} s {side} the database, which is followed"
        return bad(_SUBJECT, "database-clock", told, _NTP)
    return good(_SUBJECT, "database-clock", f"this host and the database agree within {max(abs(ahead), 0.01):.2f} s")


async def look_at_qstash_clock(settings: Settings) -> Finding | None:
    heard = await hear(f"{settings.qstash_url}/v2/keys")
    if isinstance(heard, str) or heard.ahead_s is None:
        return None  # told as unreachable already, or it doesn't say
    if abs(heard.ahead_s) > _QSTASH_S:
        told = f"this host and QStash are {abs(heard.ahead_s):.0f} s apart; from 30 s on no delivery is believed"
        return bad(_SUBJECT, "qstash-clock", told, _NTP)
    return good(_SUBJECT, "qstash-clock", "QStash agrees")


async def look_at_aimharder(settings: Settings) -> list[Finding]:
    heard = await hear(f"{settings.aimharder_account_url}/api/whoami", settings.aimharder_proxy)
    if isinstance(heard, str):
        return [
            bad(
                "AimHarder",
                "aimharder",
                f"does not answer at {settings.aimharder_account_url} ({heard})",
                "check AIMHARDER_ACCOUNT_URL; where it blocks the host's country, set AIMHARDER_PROXY",
            )
        ]
    return [_answers(heard, settings), *_clock(heard)]


def _answers(heard: Heard, settings: Settings) -> Finding:
    if heard.status in (403, 429):
        told = f"blocks this host (HTTP {heard.status})"
        return bad("AimHarder", "aimharder", told, "set AIMHARDER_PROXY to a proxy in the gym's country")
    return good("AimHarder", "aimharder", f"answers at {settings.aimharder_account_url}")


def _clock(heard: Heard) -> list[Finding]:
    if heard.ahead_s is None:
        return []
    if abs(heard.ahead_s) > _WHOLE_SECONDS_S:
        told = f"AimHarder's clock is {abs(heard.ahead_s):.0f} s {'ahead' if heard.ahead_s > 0 else 'behind'}"
        return [note(_SUBJECT, "aimharder-clock", told, "where it opens late, requests are repeated until it does")]
    return [good(_SUBJECT, "aimharder-clock", "AimHarder agrees")]
