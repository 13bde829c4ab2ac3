"""The service broken on purpose, in copies: each break still fits the code, and the functions that are in force."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.reliability.faults import sql_mutants
from tests.reliability.faults.mutants import MUTANTS, Mutant, copy_project, environment_of
from tests.reliability.machine.mutants import CASES, SqlMutant

from prebooking.adapters import migrations
from prebooking_local.postgres import Postgres

_OF_THE_MACHINE = [case.mutant for case in CASES if isinstance(case.mutant, SqlMutant)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    copy_project(tmp_path)
    return tmp_path


@pytest.fixture
async def connection(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated)
    try:
        yield connection
    finally:
        await connection.close()


async def in_force(connection: asyncpg.Connection, mutant: Mutant) -> dict[str, str]:
    return {c.where: await sql_mutants.in_force(connection, c.where) for c in mutant.changes if c.is_sql}


def test_a_campaign_runs_in_a_copy(copy: Path) -> None:
    program = [sys.executable, "-m", "tests.reliability.faults.campaign", "--help"]
    done = subprocess.run(program, cwd=copy, env=environment_of(copy), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", MUTANTS)
async def test_what_a_mutant_replaces_is_there_once_and_another_then(
    name: str, copy: Path, connection: asyncpg.Connection, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the files of the copy, and in the functions of each database that the copy migrates."""
    mutant = MUTANTS[name]
    files = {change.where: (copy / change.where).read_text() for change in mutant.changes if not change.is_sql}
    functions = await in_force(connection, mutant)
    mutant.apply(copy, functions)
    assert [where for where, text in files.items() if (copy / where).read_text() == text] == []

    monkeypatch.setattr(migrations, "files", lambda _: copy / "src/prebooking")
    database = f"broken_{name.replace('-', '_')}"
    dsn = await server.create_database(database)
    await migrations.migrate(dsn)
    broken_one = await asyncpg.connect(dsn)
    try:
        assert await in_force(broken_one, mutant) == mutant.functions(functions)
        assert [function for function, text in mutant.functions(functions).items() if text == functions[function]] == []
    finally:
        await broken_one.close()
        await server.drop_database(database)


@pytest.mark.parametrize("mutant", _OF_THE_MACHINE, ids=lambda mutant: mutant.function)
async def test_a_mutant_of_the_machine_changes_the_function_that_is_in_force(
    mutant: SqlMutant, connection: asyncpg.Connection
) -> None:
    async with connection.transaction():
        original = await sql_mutants.in_force(connection, mutant.function)
        async with sql_mutants.mutated(connection, mutant.function, *mutant.replacements):
            assert await sql_mutants.in_force(connection, mutant.function) != original
        assert await sql_mutants.in_force(connection, mutant.function) == original


@pytest.mark.parametrize(("piece", "other"), [("no such piece", ""), ("p_id", "p_id_2"), ("'lost', r", "'lost', r")])
async def test_a_mutant_that_changes_nothing_or_more_than_it_says_is_an_error(
    connection: asyncpg.Connection, piece: str, other: str
) -> None:
    with pytest.raises(LookupError, match="mend this mutant"):
        async with sql_mutants.mutated(connection, "begin_booking", (piece, other)):
            pass
