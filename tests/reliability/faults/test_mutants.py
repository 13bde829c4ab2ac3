"""The service broken on purpose, in copies: each break still fits the code that is in force."""

import shutil
from pathlib import Path

import asyncpg
import pytest
from tests.reliability.faults.mutants import BREAKS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for part in ("src", "sql"):
        shutil.copytree(ROOT / part, tmp_path / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("name", BREAKS)
def test_what_a_break_replaces_is_there_once(name: str, copy: Path) -> None:
    for change in BREAKS[name].changes:
        change.apply(copy)


async def test_what_a_break_changes_in_sql_is_in_force(migrated: str) -> None:
    """And no definition that a later file has replaced."""
    connection = await asyncpg.connect(migrated)
    try:
        found = await connection.fetch(
            "select proname, pg_get_functiondef(oid) as text from pg_proc"
            " where pronamespace = 'public'::regnamespace and prokind = 'f'"
        )
    finally:
        await connection.close()
    for broken in BREAKS.values():
        for change in broken.changes:
            in_force = [row["text"] for row in found if row["proname"] == change.where]
            assert "/" in change.where or any(change.old in text for text in in_force), change
