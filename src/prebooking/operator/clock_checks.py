"""Do the clocks agree: this host's, the database's, QStash's, AimHarder's?"""

from prebooking.adapters.host_probe import HostResponse, hear
from prebooking.operator.case import Case
from prebooking.operator.findings import Finding, bad, good, note

_SUBJECT = "Clocks"
_TOLERANCE_S = 0.5
_WHOLE_SECONDS_S = 2.0  # what a Date of whole seconds and the way can make
# A busy server's Date lags by seconds; from 30 s on its signatures are refused.
_QSTASH_S = 5.0
_NTP = "let this host keep time by NTP (chrony, systemd-timesyncd)"


async def look_at_database_clock(case: Case) -> list[Finding]:
    inspection = case.inspection
    if inspection is None:
        return []
    ahead = inspection.now.timestamp() - inspection.host_now
    if abs(ahead) > _TOLERANCE_S + inspection.on_the_way_s:
        side = "behind" if ahead > 0 else "ahead of"
        told = f"this host is {abs(ahead):.1f} s {side} the database, which is followed"
        return [bad(_SUBJECT, "database-clock", told, _NTP)]
    return [good(_SUBJECT, "database-clock", f"this host and the database agree within {max(abs(ahead), 0.01):.2f} s")]


async def look_at_qstash_clock(case: Case) -> list[Finding]:
    if not case.takes_orders:
        return []  # told as unreachable already
    heard = await hear(f"{case.settings.qstash_url}/v2/keys")
    if not isinstance(heard, HostResponse) or heard.ahead_s is None:
        return []  # it doesn't say
    if abs(heard.ahead_s) > _QSTASH_S:
        told = f"this host and QStash are {abs(heard.ahead_s):.0f} s apart; from 30 s on no delivery is believed"
        return [bad(_SUBJECT, "qstash-clock", told, _NTP)]
    return [good(_SUBJECT, "qstash-clock", "QStash agrees")]


def look_at_aimharder_clock(heard: HostResponse) -> list[Finding]:
    if heard.ahead_s is None:
        return []
    if abs(heard.ahead_s) > _WHOLE_SECONDS_S:
        told = f"AimHarder's clock is {abs(heard.ahead_s):.0f} s {'ahead' if heard.ahead_s > 0 else 'behind'}"
        return [note(_SUBJECT, "aimharder-clock", told, "where it opens late, requests are repeated until it does")]
    return [good(_SUBJECT, "aimharder-clock", "AimHarder agrees")]
