"""The operator's commands: doctor, dlq, status. Each gives the exit code: 1 where there is something to mend."""

import asyncio
import json

from rich.console import Console

from prebooking.adapters.qstash.account import open_account
from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.operator import dlq as letters
from prebooking.operator import status as overview
from prebooking.operator.doctor import examine, read_or_tell, show
from prebooking.operator.findings import State
from prebooking.settings import Settings


def doctor(out: Console, *, as_json: bool, within_s: float) -> int:
    read = read_or_tell()
    findings = asyncio.run(examine(read, within_s=within_s)) if isinstance(read, Settings) else read
    wrong = any(finding.state is State.BAD for finding in findings)
    if as_json:
        _print_json(out, {"healthy": not wrong, "findings": [finding.as_json() for finding in findings]})
    else:
        show(findings, out)
    return int(wrong)


def status(out: Console, settings: Settings, *, as_json: bool, limit: int) -> int:
    seen = asyncio.run(overview.ask(settings, limit))
    if as_json:
        _print_json(out, overview.as_json(seen))
    else:
        overview.show(seen, out)
    return 0


def dlq(out: Console, settings: Settings, *, as_json: bool, redrive: bool, clear: bool) -> int:
    async def run() -> tuple[list[letters.Case], int, int]:
        key = settings.supabase_secret_key.get_secret_value()
        async with (
            open_rpc(settings.supabase_url, key, "dlq") as rpc,
            open_account(
                settings.qstash_url, settings.qstash_token.get_secret_value(), settings.forward_headers
            ) as account,
        ):
            cases = await letters.look(account, rpc, settings)
            redriven = await letters.redrive(cases, account, rpc) if redrive else 0
            return cases, redriven, await letters.clear(cases, account) if clear else 0

    cases, redriven, cleared = asyncio.run(run())
    if as_json:
        _print_json(out, {"letters": [case.as_json() for case in cases], "redriven": redriven, "cleared": cleared})
        return 0
    letters.show(cases, out)
    if redrive:
        out.print(f"The sweep will order {redriven} anew.", highlight=False)
    if clear:
        out.print(f"Deleted {cleared} that are worth nothing any more.", highlight=False)
    return int(any(case.worth_it for case in cases) and not redrive)


def _print_json(out: Console, content: object) -> None:
    """As it is: no colours, no line breaks of the terminal's width. ASCII alone, which no terminal obeys."""
    out.out(json.dumps(content, indent=2), highlight=False)
