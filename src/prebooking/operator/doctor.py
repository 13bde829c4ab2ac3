"""Examines the whole: settings, database, QStash, the way from outside, clocks, rows. It mends nothing itself."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prebooking.adapters.qstash_account import open_account
from prebooking.adapters.supabase_rpc import open_rpc
from prebooking.domain.errors import PrebookingError
from prebooking.operator.clock_checks import look_at_aimharder, look_at_database_clock, look_at_qstash_clock
from prebooking.operator.database_checks import look_at_database
from prebooking.operator.findings import Finding, State, bad, good
from prebooking.operator.qstash_checks import look_at_account, look_at_dead_letters, look_from_outside
from prebooking.operator.row_checks import look_at_rows
from prebooking.redaction import Redactor
from prebooking.settings import Settings, SettingsError, borrowed_names, read_settings, secrets_of

_SIGNS = {State.GOOD: "[green]✓[/]", State.NOTE: "[yellow]•[/]", State.BAD: "[bold red]✗[/]"}


def read_or_tell() -> Settings | list[Finding]:
    """The settings, or what is wrong with each."""
    try:
        return read_settings(Settings)
    except SettingsError as exc:
        told = [line.partition(": ") for line in str(exc).splitlines()]
        correct = "correct it in the environment or in .env"
        return [bad("Settings", "settings", what, fix or correct) for what, _, fix in told]


async def examine(settings: Settings, *, within_s: float) -> list[Finding]:
    """`within_s`: how long a message from outside may take."""
    borrowed = "".join(f"; {name} from {variable}" for name, variable in borrowed_names(Settings).items())
    findings = [good("Settings", "settings", f"all are there and fit together{borrowed}")]
    async with (
        open_rpc(settings.supabase_url, settings.supabase_secret_key.get_secret_value(), "doctor") as rpc,
        open_account(
            settings.qstash_url, settings.qstash_token.get_secret_value(), settings.forward_headers
        ) as account,
    ):
        inspection, found = await look_at_database(rpc, settings)
        findings += found
        takes_orders = False
        try:
            takes_orders, found = await look_at_account(account, settings)
            findings += found
            if takes_orders:
                findings += await look_at_dead_letters(account, settings)
            if takes_orders and inspection:
                findings.append(await look_from_outside(account, rpc, settings, within_s=within_s))
        except PrebookingError as exc:
            findings.append(bad("QStash", "interrupted", str(exc), "ask again"))
        findings += await look_at_aimharder(settings)
        if clock := await look_at_qstash_clock(settings) if takes_orders else None:
            findings.append(clock)
    if inspection:
        findings += [look_at_database_clock(inspection), *look_at_rows(inspection, settings)]
    # What others say may quote what they were sent.
    redactor = Redactor(secrets_of(settings))
    return [replace(finding, told=redactor.text(finding.told)) for finding in findings]


def show(findings: Sequence[Finding], out: Console) -> None:
    """Grouped by subject, in the order in which they were looked at."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for subject in dict.fromkeys(finding.subject for finding in findings):
        for n, finding in enumerate(one for one in findings if one.subject == subject):
            table.add_row("" if n else subject, _SIGNS[finding.state], escape(finding.told))
            if finding.fix and finding.state is not State.GOOD:
                table.add_row("", "", f"[dim]→ {escape(finding.fix)}[/]")
    out.print(table, highlight=False)
    wrong = sum(finding.state is State.BAD for finding in findings)
    out.print()
    if wrong:
        out.print(f"[bold red]{wrong} to mend.[/]" if wrong > 1 else "[bold red]One to mend.[/]")
    else:
        out.print("[bold green]Healthy.[/]")
