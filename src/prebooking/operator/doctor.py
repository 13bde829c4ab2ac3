"""Checks settings, database, access tokens, QStash, PUBLIC_URL, AimHarder, clocks and prebookings.

Doctor changes nothing. Every error of a check becomes a finding: none ends in a traceback, and none stops the others.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from prebooking.domain.errors import PrebookingError
from prebooking.domain.plain_text import printable
from prebooking.operator.auth_checks import check_users
from prebooking.operator.check_context import CheckContext
from prebooking.operator.clock_checks import check_database_clock, check_qstash_clock
from prebooking.operator.database_checks import check_database
from prebooking.operator.findings import Finding, bad
from prebooking.operator.gym_checks import check_account_host, check_boxes, check_login_host
from prebooking.operator.qstash_checks import check_account, check_dead_letters
from prebooking.operator.reach_checks import check_public_url
from prebooking.operator.row_checks import check_rows
from prebooking.operator.settings_checks import check_settings
from prebooking.redaction import Redactor
from prebooking.settings import Settings, SettingsError, secrets_of

_Look = Callable[[CheckContext], Awaitable[list[Finding]]]

# In order: a later check reads what an earlier one has noted in the context.
_CHECKS: tuple[tuple[str, str, _Look], ...] = (
    ("Settings", "settings", check_settings),
    ("Database", "database", check_database),
    ("Users", "users", check_users),
    ("QStash", "account", check_account),
    ("QStash", "dead-letters", check_dead_letters),
    ("PUBLIC_URL", "reach", check_public_url),
    ("AimHarder", "aimharder", check_account_host),
    ("AimHarder", "login", check_login_host),
    ("AimHarder", "box", check_boxes),
    ("Clocks", "qstash-clock", check_qstash_clock),
    ("Clocks", "database-clock", check_database_clock),
    ("Prebookings", "rows", check_rows),
)


async def examine(settings: Settings, *, within_s: float) -> list[Finding]:
    """Returns the findings of all checks. `within_s`: how long the test message of QStash may take."""
    findings: list[Finding] = []
    try:
        async with AsyncExitStack() as stack:
            context = CheckContext(settings=settings, within_s=within_s, stack=stack)
            for subject, check, look in _CHECKS:
                try:
                    findings += await look(context)
                except Exception as exc:  # noqa: BLE001  # becomes a finding; the next check runs
                    findings.append(_not_examined(subject, check, exc))
    except Exception as exc:  # noqa: BLE001  # closing a connection failed
        findings.append(_not_examined("Settings", "examination", exc))
    # The text of another system may quote a secret that it was sent.
    redactor = Redactor(secrets_of(settings))
    return [replace(one, message=redactor.text(one.message), fix=redactor.text(one.fix)) for one in findings]


def _not_examined(subject: str, check: str, exc: Exception) -> Finding:
    if isinstance(exc, PrebookingError | SettingsError):
        return bad(subject, check, f"was interrupted: {printable(str(exc))}", "run `prebooking doctor` again")
    message = f"could not be examined: {type(exc).__name__}: {printable(str(exc))[:200]}"
    return bad(subject, check, message, f"check the settings of {subject}; if they are right, report this as a bug")
