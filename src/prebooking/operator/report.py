"""Doctor's report."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prebooking.domain.plain_text import printable
from prebooking.operator.findings import Finding, State, bad
from prebooking.settings import Settings, SettingsError, read_settings

_SIGNS = {State.GOOD: "[green]✓[/]", State.NOTE: "[yellow]•[/]", State.BAD: "[bold red]✗[/]"}


def read_or_report() -> Settings | list[Finding]:
    """Returns the settings, or a finding for each one that is missing or wrong."""
    correct = "correct it in the environment or in .env"
    try:
        return read_settings(Settings)
    except SettingsError as exc:
        lines = [line.partition(": ") for line in str(exc).splitlines()]
        return [bad("Settings", "settings", printable(what), printable(fix) or correct) for what, _, fix in lines]
    except Exception as exc:  # noqa: BLE001  # such as a .env that can't be read
        message = f"the environment or .env can't be read ({type(exc).__name__}: {printable(str(exc))[:200]})"
        return [bad("Settings", "settings", message, "make .env a UTF-8 text file that this user may read")]


def show(findings: Sequence[Finding], out: Console) -> None:
    """Prints the findings by subject, in the order of the checks."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for subject in dict.fromkeys(finding.subject for finding in findings):
        for n, finding in enumerate(one for one in findings if one.subject == subject):
            table.add_row("" if n else subject, _SIGNS[finding.state], escape(printable(finding.message)))
            if finding.fix and finding.state is not State.GOOD:
                table.add_row("", "", f"[dim]→ {escape(printable(finding.fix))}[/]")
    out.print(table, highlight=False)
    wrong = sum(finding.state is State.BAD for finding in findings)
    out.print()
    if wrong:
        out.print(f"[bold red]{wrong} problems to fix.[/]" if wrong > 1 else "[bold red]One problem to fix.[/]")
    else:
        out.print("[bold green]Healthy.[/]")
