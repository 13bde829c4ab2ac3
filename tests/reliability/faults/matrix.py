"""The kill matrix: each fault at each point of the service, the first time and again. Does all end right?

    python -m tests.reliability.faults.matrix [--points TEXT …]
        [--action kill stop lose] [--when first again settling] [--seed N] [--at-once N]

Exit code 0 only if every cell ends right. The whole matrix also writes its table into README.md.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.reliability.faults.aim import Try
from tests.reliability.faults.cases import EXECUTING, Cell, cells
from tests.reliability.faults.environment import Theatre, theatre
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.gym import LAX
from tests.reliability.faults.report import Report
from tests.reliability.faults.runner import Result, Terms, run

from prebooking_local.stack import UNLIMITED, Ports, outside

_OUT = Console(width=200)
_QSTASH_OFF = Terms(rings=False, settings=(), survivor=())  # and all else as it is by default
_LAX = replace(Terms(), box=LAX)
#: How soon a kill is healed with QStash off, after the strike or the opening: by whether it had begun.
_HEALED_S = {False: 12.0, True: 30.0}


async def play_all(house: Theatre, chosen: Sequence[Cell], at_once: int, terms: Terms, title: str) -> list[Result]:
    """Side by side; the longest first."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.fields[wrong]} wrong"),
    )
    places = asyncio.Semaphore(at_once)
    results: list[Result] = []
    with Progress(*columns, console=_OUT) as progress:
        task = progress.add_task(title, total=len(chosen), wrong=0)

        async def one(cell: Cell) -> None:
            async with places:
                result = await run(house, cell, terms)
            results.append(result)
            if result.wrong:
                progress.console.print(f"✗ {cell}: {'; '.join(result.wrong)}", style="bold red", markup=False)
            progress.update(task, advance=1, wrong=sum(bool(result.wrong) for result in results))

        async with asyncio.TaskGroup() as group:
            for cell in sorted(chosen, key=lambda cell: -list(Try).index(cell.when)):
                group.create_task(one(cell))
    return results


def _wrongs(report: Report) -> list[tuple[Result, list[str]]]:
    found = [(result, list(result.wrong)) for result in report.matrix if result.wrong]
    for result in report.qstash_off:
        late = result.healed_s is not None and result.healed_s > _HEALED_S[result.cell.begun]
        if result.wrong or late:
            found.append((result, ["with QStash off", *result.wrong, *(["healed too late"] if late else [])]))
    found += [(result, ["at a lax gym", *result.wrong]) for result in report.lax if result.wrong]
    return found


async def main(options: argparse.Namespace) -> int:
    chosen = [
        cell
        for cell in cells()
        if (not options.points or any(text in cell.point for text in options.points))
        and cell.action in options.action
        and cell.when in options.when
    ]
    random.seed(options.seed)
    random.shuffle(chosen)
    executing = [cell for cell in chosen if cell.story is EXECUTING and cell.when is not Try.SETTLING]
    killed = [cell for cell in executing if cell.action is Action.KILL]
    stopped = [cell for cell in executing if cell.action is Action.STOP and cell.begun and cell.when is Try.FIRST]
    _OUT.print(f"{len(chosen)} cells. Seed {options.seed}.")
    async with outside(Ports(0, 0, 0, 0), LOG_LEVEL="CRITICAL", **UNLIMITED) as stack, theatre(stack) as house:
        matrix = await play_all(house, chosen, options.at_once, Terms(), "the matrix")
        lax = await play_all(house, stopped, options.at_once, _LAX, "stops, a lax gym")
        await stack.control(stack.qstash_url, "faults", {"down": True})
        off = await play_all(house, killed, options.at_once, _QSTASH_OFF, "kills, QStash off")
    report = Report(matrix, off, lax)
    _OUT.print(report.text(), markup=False, highlight=False)
    wrongs = _wrongs(report)
    for result, why in wrongs:
        _OUT.print(f"✗ {result.cell}: {'; '.join(why)}", style="bold red", markup=False, highlight=False)
        _OUT.print(result.evidence, markup=False, highlight=False)
    if not wrongs and len(chosen) == len(list(cells())):
        report.write()
    return 1 if wrongs else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Does all end right, whatever strikes where?")
    parser.add_argument("--points", nargs="+", metavar="TEXT", help="those whose name has it, such as store.begin")
    parser.add_argument("--action", nargs="+", type=Action, choices=list(Action), default=list(Action))
    parser.add_argument("--when", nargs="+", type=Try, choices=list(Try), default=list(Try))
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the order")
    parser.add_argument("--at-once", type=int, default=16)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_options(sys.argv[1:]))))
