"""The operator's commands: doctor, dlq, show, status. Each returns the exit code: 1 if there is something to fix.

Each imports what it needs when it runs: importing all of it takes longer than most of them.
"""

import asyncio
import json
from uuid import UUID

from rich.console import Console

from prebooking.operator.findings import Finding, State
from prebooking.operator.report import read_or_report, show
from prebooking.settings import Settings


def doctor(out: Console, *, as_json: bool, within_s: float) -> int:
    read = read_or_report()
    findings = _examine(read, within_s) if isinstance(read, Settings) else read
    wrong = any(finding.state is State.BAD for finding in findings)
    if as_json:
        _print_json(out, {"healthy": not wrong, "findings": [finding.as_json() for finding in findings]})
    else:
        show(findings, out)
    return int(wrong)


def _examine(settings: Settings, within_s: float) -> list[Finding]:
    from prebooking.operator.doctor import examine

    return asyncio.run(examine(settings, within_s=within_s))


def status(out: Console, settings: Settings, *, as_json: bool, limit: int) -> int:
    from prebooking.operator import status as overview

    inspection = asyncio.run(overview.ask(settings, limit))
    if as_json:
        _print_json(out, overview.as_json(inspection))
    else:
        overview.show(inspection, out)
    return 0


def history(out: Console, settings: Settings, prebooking_id: UUID, *, as_json: bool) -> int:
    from prebooking.operator import history as histories

    found = asyncio.run(histories.ask(settings, prebooking_id))
    if found is None:
        out.print(f"There is no prebooking {prebooking_id}.", highlight=False)
        return 1
    if as_json:
        _print_json(out, found.as_json())
    else:
        histories.show(found, out)
    return 0


def dlq(out: Console, settings: Settings, *, as_json: bool, redrive: bool, clear: bool) -> int:
    from prebooking.adapters.qstash.account import open_account
    from prebooking.adapters.supabase.rpc import open_rpc
    from prebooking.operator import dlq as letters

    async def run() -> tuple[list[letters.DeadLetterCase], int, int]:
        key = settings.supabase_secret_key.get_secret_value()
        async with (
            open_rpc(settings.supabase_url, key, "dlq") as rpc,
            open_account(
                settings.qstash_url, settings.qstash_token.get_secret_value(), settings.forward_headers
            ) as account,
        ):
            cases = await letters.read(account, rpc, settings)
            redriven = await letters.redrive(cases, account, rpc) if redrive else 0
            return cases, redriven, await letters.clear(cases, account) if clear else 0

    cases, redriven, cleared = asyncio.run(run())
    if as_json:
        _print_json(out, {"letters": [case.as_json() for case in cases], "redriven": redriven, "cleared": cleared})
        return 0
    letters.show(cases, out)
    if redrive:
        out.print(f"The sweep will schedule {redriven} again.", highlight=False)
    if clear:
        out.print(f"Deleted {cleared} that can no longer be used.", highlight=False)
    return int(any(case.worth_it for case in cases) and not redrive)


def _print_json(out: Console, content: object) -> None:
    """Prints JSON without colours and line wrapping. It is ASCII, so it has no control characters of terminals."""
    out.out(json.dumps(content, indent=2), highlight=False)
