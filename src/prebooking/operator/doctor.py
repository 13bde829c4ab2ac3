"""Examines the whole: settings, database, users' tokens, QStash, the way from outside, gyms, clocks, rows.

It mends nothing itself. Whatever a check meets becomes a finding: none ends in a trace, and none keeps the others from
being made.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prebooking.domain.errors import PrebookingError
from prebooking.domain.plain_text import printable
from prebooking.operator.auth_checks import look_at_users
from prebooking.operator.case import Case
from prebooking.operator.clock_checks import look_at_database_clock, look_at_qstash_clock
from prebooking.operator.database_checks import look_at_database
from prebooking.operator.findings import Finding, State, bad
from prebooking.operator.gym_checks import look_at_account_host, look_at_boxes, look_at_login_host
from prebooking.operator.qstash_checks import look_at_account, look_at_dead_letters
from prebooking.operator.reach_checks import look_from_outside
from prebooking.operator.row_checks import look_at_rows
from prebooking.operator.settings_checks import look_at_settings
from prebooking.redaction import Redactor
from prebooking.settings import Settings, SettingsError, read_settings, secrets_of

_Look = Callable[[Case], Awaitable[list[Finding]]]

_SIGNS = {State.GOOD: "[green]✓[/]", State.NOTE: "[yellow]•[/]", State.BAD: "[bold red]✗[/]"}
# In the order in which they are made: what a later one needs to know, an earlier one has noted in the case.
_CHECKS: tuple[tuple[str, str, _Look], ...] = (
    ("Settings", "settings", look_at_settings),
    ("Database", "database", look_at_database),
    ("Users", "users", look_at_users),
    ("QStash", "account", look_at_account),
    ("QStash", "dead-letters", look_at_dead_letters),
    ("PUBLIC_URL", "reach", look_from_outside),
    ("AimHarder", "aimharder", look_at_account_host),
    ("AimHarder", "login", look_at_login_host),
    ("AimHarder", "box", look_at_boxes),
    ("Clocks", "qstash-clock", look_at_qstash_clock),
    ("Clocks", "database-clock", look_at_database_clock),
    ("Prebookings", "rows", look_at_rows),
)


def read_or_tell() -> Settings | list[Finding]:
    """The settings, or what is wrong with each."""
    correct = "correct it in the environment or in .env"
    try:
        return read_settings(Settings)
    except SettingsError as exc:
        told = [line.partition(": ") for line in str(exc).splitlines()]
        return [bad("Settings", "settings", printable(what), printable(fix) or correct) for what, _, fix in told]
    except Exception as exc:  # noqa: BLE001  # a .env that can't be read, for one
        told_so = f"the environment or .env can't be read ({type(exc).__name__}: {printable(str(exc))[:200]})"
        return [bad("Settings", "settings", told_so, "see that .env is a file of UTF-8 text that this user may read")]


async def examine(settings: Settings, *, within_s: float) -> list[Finding]:
    """`within_s`: how long a message from outside may take."""
    findings: list[Finding] = []
    try:
        async with AsyncExitStack() as stack:
            case = Case(settings=settings, within_s=within_s, stack=stack)
            for subject, check, look in _CHECKS:
                try:
                    findings += await look(case)
                except Exception as exc:  # noqa: BLE001  # told as what it is, and the next check is made
                    findings.append(_not_examined(subject, check, exc))
    except Exception as exc:  # noqa: BLE001  # a connection that could not be closed
        findings.append(_not_examined("Settings", "examination", exc))
    # What others say may quote what they were sent.
    redactor = Redactor(secrets_of(settings))
    return [replace(one, told=redactor.text(one.told), fix=redactor.text(one.fix)) for one in findings]


def _not_examined(subject: str, check: str, exc: Exception) -> Finding:
    if isinstance(exc, PrebookingError | SettingsError):
        return bad(subject, check, f"was interrupted: {printable(str(exc))}", "ask again")
    told = f"could not be examined: {type(exc).__name__}: {printable(str(exc))[:200]}"
    return bad(subject, check, told, f"see that the settings of {subject} are what they should be; then report this")


def show(findings: Sequence[Finding], out: Console) -> None:
    """Grouped by subject, in the order in which they were looked at."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for subject in dict.fromkeys(finding.subject for finding in findings):
        for n, finding in enumerate(one for one in findings if one.subject == subject):
            table.add_row("" if n else subject, _SIGNS[finding.state], escape(printable(finding.told)))
            if finding.fix and finding.state is not State.GOOD:
                table.add_row("", "", f"[dim]→ {escape(printable(finding.fix))}[/]")
    out.print(table, highlight=False)
    wrong = sum(finding.state is State.BAD for finding in findings)
    out.print()
    if wrong:
        out.print(f"[bold red]{wrong} to mend.[/]" if wrong > 1 else "[bold red]One to mend.[/]")
    else:
        out.print("[bold green]Healthy.[/]")
