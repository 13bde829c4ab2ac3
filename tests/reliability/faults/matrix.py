"""The kill matrix: each fault at each point of the service, the first time and again. Does all end right?

    python -m tests.reliability.faults.matrix [--points TEXT …] [--doing TEXT …]
        [--action kill stop lose] [--when first again settling] [--seed N] [--at-once N]

Exit code 0 only if every case ends right. The whole matrix also writes its table into README.md.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.reliability.faults.cases import EXECUTING, Case, all_cases
from tests.reliability.faults.environment import Infrastructure, open_infrastructure
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.fault_injection import Occurrence
from tests.reliability.faults.gym import LAX
from tests.reliability.faults.report import Report
from tests.reliability.faults.runner import Conditions, Result, run

from prebooking_local.stack import UNLIMITED, Ports, outside

_OUT = Console(width=200)
_QSTASH_OFF = Conditions(qstash_delivers=False, settings=(), survivor=())  # and all else as it is by default
_LAX = replace(Conditions(), box=LAX)
#: How soon a kill is healed with QStash off, after the fault or the opening: by whether it had begun.
_HEALED_S = {False: 12.0, True: 30.0}


async def run_all(
    infrastructure: Infrastructure, chosen: Sequence[Case], at_once: int, conditions: Conditions, title: str
) -> list[Result]:
    """Side by side; the longest first."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.fields[wrong]} wrong"),
    )
    places = asyncio.Semaphore(at_once)
    results: list[Result] = []
    with Progress(*columns, console=_OUT) as progress:
        task = progress.add_task(title, total=len(chosen), wrong=0)

        async def one(case: Case) -> None:
            async with places:
                result = await run(infrastructure, case, conditions)
            results.append(result)
            if result.wrong:
                progress.console.print(f"✗ {case}: {'; '.join(result.wrong)}", style="bold red", markup=False)
            progress.update(task, advance=1, wrong=sum(bool(result.wrong) for result in results))

        async with asyncio.TaskGroup() as group:
            for case in sorted(chosen, key=lambda case: -list(Occurrence).index(case.when)):
                group.create_task(one(case))
    return results


def _wrongs(report: Report) -> list[tuple[Result, list[str]]]:
    found = [(result, list(result.wrong)) for result in report.matrix if result.wrong]
    for result in report.qstash_off:
        late = result.healed_s is not None and result.healed_s > _HEALED_S[result.case.begun]
        if result.wrong or late:
            found.append((result, ["with QStash off", *result.wrong, *(["healed too late"] if late else [])]))
    found += [(result, ["at a lax gym", *result.wrong]) for result in report.lax if result.wrong]
    return found


async def main(options: argparse.Namespace) -> int:
    chosen = [
        case
        for case in all_cases()
        if (not options.points or any(text in case.point for text in options.points))
        and (not options.doing or any(text in case.operation.name for text in options.doing))
        and case.action in options.action
        and case.when in options.when
    ]
    random.seed(options.seed)
    random.shuffle(chosen)
    executing = [case for case in chosen if case.operation is EXECUTING and case.when is not Occurrence.SETTLING]
    killed = [case for case in executing if case.action is Action.KILL]
    stopped = [
        case for case in executing if case.action is Action.STOP and case.begun and case.when is Occurrence.FIRST
    ]
    _OUT.print(f"{len(chosen)} cases. Seed {options.seed}.")
    async with (
        outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack,
        open_infrastructure(stack) as infrastructure,
    ):
        matrix = await run_all(infrastructure, chosen, options.at_once, Conditions(), "the matrix")
        lax = await run_all(infrastructure, stopped, options.at_once, _LAX, "stops, a lax gym")
        await stack.control(stack.qstash_url, "faults", {"down": True})
        off = await run_all(infrastructure, killed, options.at_once, _QSTASH_OFF, "kills, QStash off")
    report = Report(matrix, off, lax)
    _OUT.print(report.text(), markup=False, highlight=False)
    wrongs = _wrongs(report)
    for result, why in wrongs:
        _OUT.print(f"✗ {result.case}: {'; '.join(why)}", style="bold red", markup=False, highlight=False)
        _OUT.print(result.evidence, markup=False, highlight=False)
    if not wrongs and len(chosen) == len(list(all_cases())):
        report.write()
    return 1 if wrongs else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Does everything end right, whichever fault comes where?")
    parser.add_argument("--points", nargs="+", metavar="TEXT", help="those whose name has it, such as store.begin")
    parser.add_argument("--doing", nargs="+", metavar="TEXT", help="what the service is doing, such as by hour")
    parser.add_argument("--action", nargs="+", type=Action, choices=list(Action), default=list(Action))
    parser.add_argument("--when", nargs="+", type=Occurrence, choices=list(Occurrence), default=list(Occurrence))
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the order")
    parser.add_argument("--at-once", type=int, default=16)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_options(sys.argv[1:]))))
