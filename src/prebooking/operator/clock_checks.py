"""Checks that the clocks of this host, the database, QStash and AimHarder agree."""

from prebooking.adapters.host_probe import HostResponse, probe
from prebooking.operator.check_context import CheckContext
from prebooking.operator.findings import Finding, bad, good, note

_SUBJECT = "Clocks"
_TOLERANCE_S = 0.5
_WHOLE_SECONDS_S = 2.0  # the resolution of Date plus the latency
# The Date of a busy server lags by seconds. From 30 s on its signatures are refused.
_QSTASH_S = 5.0
_NTP = "synchronize this host's clock by NTP (chrony, systemd-timesyncd)"


async def check_database_clock(context: CheckContext) -> list[Finding]:
    inspection = context.inspection
    if inspection is None:
        return []
    ahead = inspection.now.timestamp() - inspection.host_now
    if abs(ahead) > _TOLERANCE_S + inspection.on_the_way_s:
        side = "behind" if ahead > 0 else "ahead of"
        message = f"this host is {abs(ahead):.1f} s {side} the database, whose clock is used"
        return [bad(_SUBJECT, "database-clock", message, _NTP)]
    return [good(_SUBJECT, "database-clock", f"this host and the database agree within {max(abs(ahead), 0.01):.2f} s")]


async def check_qstash_clock(context: CheckContext) -> list[Finding]:
    if not context.accepts_token:
        return []  # already reported as unreachable
    response = await probe(f"{context.settings.qstash_url}/v2/keys")
    if not isinstance(response, HostResponse) or response.ahead_s is None:
        return []  # it sends no Date
    if abs(response.ahead_s) > _QSTASH_S:
        message = (
            f"this host and QStash are {abs(response.ahead_s):.0f} s apart; from 30 s on every delivery is refused"
        )
        return [bad(_SUBJECT, "qstash-clock", message, _NTP)]
    return [good(_SUBJECT, "qstash-clock", "QStash agrees")]


def check_aimharder_clock(response: HostResponse) -> list[Finding]:
    if response.ahead_s is None:
        return []
    if abs(response.ahead_s) > _WHOLE_SECONDS_S:
        message = f"AimHarder's clock is {abs(response.ahead_s):.0f} s {'ahead' if response.ahead_s > 0 else 'behind'}"
        return [note(_SUBJECT, "aimharder-clock", message, "requests are repeated until the class opens")]
    return [good(_SUBJECT, "aimharder-clock", "AimHarder agrees")]
