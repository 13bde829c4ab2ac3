"""Can the campaign fail? Each mutant breaks a copy of the service in one way, which one column must show.

python -m tests.reliability.faults.mutants            # all: about two minutes each
python -m tests.reliability.faults.mutants no-sweep
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table
from tests.reliability.faults import sql_mutants

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import postgres

_PROJECT = Path(__file__).parents[3]
_COPIED = ("src", "sql", "tests/reliability", "tests/support")
_USECASES = "src/prebooking/usecases"
_OUT = Console(width=160)


@dataclass(frozen=True, slots=True)
class Change:
    """In a file, or in the SQL function of that name, as the database has it in force."""

    where: str
    old: str
    new: str

    @property
    def is_sql(self) -> bool:
        return "/" not in self.where


@dataclass(frozen=True, slots=True)
class Mutant:
    what: str
    detected_as: str  #: the column in which it shows
    changes: tuple[Change, ...]

    def functions(self, in_force: Mapping[str, str]) -> dict[str, str]:
        """The definitions of the functions that it breaks, broken. Raises LookupError where a change does not fit."""
        definitions: dict[str, str] = {}
        for change in self.changes:
            if change.is_sql:
                text = definitions.get(change.where, in_force[change.where])
                definitions[change.where] = sql_mutants.broken(change.where, text, (change.old, change.new))
        return definitions

    def apply(self, root: Path, in_force: Mapping[str, str]) -> None:
        """In a copy of the project, whose databases get the broken functions after all others."""
        for change in self.changes:
            if not change.is_sql:
                path = root / change.where
                path.write_text(sql_mutants.broken(change.where, path.read_text(), (change.old, change.new)))
        definitions = self.functions(in_force)
        if definitions:
            (root / BROKEN).write_text("".join(f"{text};\n" for text in definitions.values()))


BROKEN = "sql/functions/98_broken.sql"
_LOST_GUARD = """  elsif r.status <> 'executing' or r.claim_token is distinct from p_token then
    return prebooking.answer('lost', r);
"""
MUTANTS = {
    "no-settling": Mutant(
        "a request without an answer is repeated without asking the gym what became of it",
        "double",
        (
            Change(
                f"{_USECASES}/booking/settle.py",
                "found = await settle(context)\n    if isinstance(found, Ending):\n"
                "        return found\n    if found in",
                "found = NotFound.ABSENT\n    if found in",
            ),
            Change(
                f"{_USECASES}/booking/settle.py",
                "return Again(reason) if complete and not_booked else Park(reason)",
                "return Again(reason)",
            ),
            Change(
                f"{_USECASES}/booking/settle.py",
                "    found = await settle(context)\n    if isinstance(found, Ending):\n"
                "        return found\n    if reply",
                "    found = NotFound.ABSENT\n    if reply",
            ),
            Change(
                f"{_USECASES}/booking/prepare.py",
                "return listing[mine].ending(Outcome.BOOKED if context.claim.begun else Outcome.ALREADY_BOOKED)",
                "return None",
            ),
        ),
    ),
    "silence-is-refusal": Mutant(
        "a request without an answer counts as refused",
        "falsely failed",
        (
            Change(
                f"{_USECASES}/booking/resolve.py",
                "            return await by_listing(context, reply)\n",
                "            if reply.kind is ReplyKind.NO_ANSWER:\n"
                "                return reply.ending(Outcome.GYM_UNREACHABLE)\n"
                "            return await by_listing(context, reply)\n",
            ),
        ),
    ),
    "logout-is-success": Mutant(
        "what says neither yes nor no counts as booked, as many a bot does it",
        "falsely completed",
        (
            Change(
                f"{_USECASES}/booking/resolve.py",
                "return await _logged_out(context, reply)",
                "return reply.ending(Outcome.BOOKED)",
            ),
        ),
    ),
    "cancel-while-begun": Mutant(
        "a cancel is confirmed while the request may already have left",
        "booked after cancel",
        (
            Change(
                "cancel_prebooking",
                "  elsif r.status = 'executing' and prebooking.is_begun(r) then\n"
                "    return prebooking.answer('booking_in_progress', r);\n"
                "  elsif r.status <> 'cancelled' then",
                "  elsif r.status <> 'cancelled' then",
            ),
        ),
    ),
    "publish-or-undo": Mutant(
        "a create whose message could not be published is undone",
        "lost",
        (
            Change(
                f"{_USECASES}/schedule.py",
                "        if replaced:\n            await self._delete_message(replaced)\n",
                "                await self._store.cancel(prebooking.id, prebooking.user_email)\n"
                "        if replaced:\n            await self._delete_message(replaced)\n",
            ),
        ),
    ),
    "no-sweep": Mutant(
        "nothing but QStash's messages starts an execution",
        "stuck",
        (
            Change(
                "src/prebooking/main.py",
                "(services.sweeper.run, services.background_tasks.run)",
                "(services.background_tasks.run,)",
            ),
        ),
    ),
    "no-tokens": Mutant(
        "begin and finish don't ask whose claim it is, and a claim doesn't ask whether there is one",
        "double",
        (
            Change("begin_booking", _LOST_GUARD, ""),
            Change("finish_booking", _LOST_GUARD, ""),
            Change("begin_booking", "r.begun_token is not null and not p_settled", "false"),
            Change("claim_prebooking", "elsif prebooking.lease_end(r) > t then", "elsif false then"),
        ),
    ),
    "finish-without-token": Mutant(
        "finish doesn't ask whose claim it is",
        "none, as each worker stops at the end of its budget, before its lease ends",
        (Change("finish_booking", _LOST_GUARD, ""),),
    ),
}


async def functions_in_force() -> dict[str, str]:
    """Of a database as this release migrates it."""
    async with postgres() as server:
        dsn = await server.create_database("in_force")
        await migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            names = {change.where for mutant in MUTANTS.values() for change in mutant.changes if change.is_sql}
            return {name: await sql_mutants.in_force(connection, name) for name in names}
        finally:
            await connection.close()


def copy_project(folder: Path) -> None:
    """Copies what a campaign needs."""
    for part in _COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "results")
        shutil.copytree(_PROJECT / part, folder / part, symlinks=True, ignore=ignored)


def environment_of(copy: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(copy / "src")}


def verdict_of(mutant: Mutant, in_force: Mapping[str, str], options: argparse.Namespace) -> dict[str, int]:
    """By a campaign over a copy of the project."""
    with tempfile.TemporaryDirectory(prefix="prebooking-broken-") as folder:
        copy = Path(folder)
        copy_project(copy)
        mutant.apply(copy, in_force)
        size = [
            "--seconds",
            str(options.seconds),
            "--prebookings",
            str(options.prebookings),
            "--seed",
            str(options.seed),
        ]
        faults = copy / "tests/reliability/faults"
        subprocess.run(
            [sys.executable, "-m", "tests.reliability.faults.campaign", *size],
            cwd=copy,
            env=environment_of(copy),
            stdout=subprocess.DEVNULL,
            check=False,
        )
        [kept] = (faults / "results").glob("*.json")
        verdict: dict[str, int] = json.loads(kept.read_text())["figures"]["verdict"]
        return verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *MUTANTS], help="default: all")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--prebookings", type=int, default=900)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    table = Table("mutant", "what is broken", "should show as", "shows as")
    undetected = 0
    in_force = asyncio.run(functions_in_force())
    for name in options.names or MUTANTS:
        mutant = MUTANTS[name]
        shown_in = {column: n for column, n in verdict_of(mutant, in_force, options).items() if n}
        undetected += mutant.detected_as not in shown_in and not mutant.detected_as.startswith("none")
        shown = ", ".join(f"{column} {n}" for column, n in shown_in.items()) or "nothing"
        table.add_row(name, mutant.what, mutant.detected_as, shown)
        _OUT.print(f"{name}: {shown}")
    _OUT.print(table)
    return 1 if undetected else 0


if __name__ == "__main__":
    sys.exit(main())
