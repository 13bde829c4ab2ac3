"""`prebooking migrate --export`: what Supabase's own command pushes is what `prebooking migrate` applies."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from tests.postgres.catalogue import catalogue
from tests.postgres.functions import connect

from prebooking.adapters import migrations
from prebooking.adapters.migration_export import export, versions
from prebooking.adapters.migrations import MigrationChangedError, compare, migrate
from prebooking_local.postgres import Postgres

TEXTS = migrations._texts()
NAMES = [name.rpartition("/")[2] for name, _ in TEXTS]
_CHANGED = (("note_ping(p_id uuid)", "note_ping(p_id uuid, p_more text default null)"), "functions/70_inspection.sql")


@pytest.fixture
async def empty(server: Postgres) -> AsyncIterator[str]:
    name = f"pushed_{uuid4().hex}"
    yield await server.create_database(name)
    await server.drop_database(name)


def newer_release(monkeypatch: pytest.MonkeyPatch) -> None:
    (piece, other), name = _CHANGED
    texts = tuple((n, text.replace(piece, other) if n == name else text) for n, text in TEXTS)
    assert texts != TEXTS
    monkeypatch.setattr(migrations, "_texts", lambda: texts)


def names(paths: list[Path]) -> list[str]:
    return [path.name.partition("_prebooking_")[2] for path in paths]


async def push(connection: asyncpg.Connection, paths: list[Path]) -> None:
    """Each file in a transaction of its own, as Supabase's command does it."""
    for path in paths:
        await connection.execute(path.read_text())


def test_the_names_are_the_same_for_everybody_and_a_second_export_writes_nothing(tmp_path: Path) -> None:
    first = export(tmp_path / "a")
    assert names(first) == NAMES
    assert [path.name for path in export(tmp_path / "b")] == [path.name for path in first]
    assert sorted(first) == first
    assert export(tmp_path / "a") == []


def test_an_export_comes_after_what_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "20270101000059_mine.sql").write_text("select 1;\n")
    (tmp_path / "README.md").write_text("Mine.\n")
    first, second, *_ = export(tmp_path)
    assert first.name == "20270101000100_prebooking_0001_baseline.sql"
    assert second.name == f"20270101000101_prebooking_{NAMES[1]}"
    assert versions(tmp_path)[:2] == ["20270101000100", "20270101000101"]
    assert len(versions(tmp_path)) == len(NAMES)


def test_functions_that_have_changed_are_written_again_as_later_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_text() for path in export(tmp_path)}
    newer_release(monkeypatch)
    written = export(tmp_path)
    assert names(written) == ["70_inspection.sql", "99_grants.sql"]
    assert min(written) > max(before)
    assert {path: path.read_text() for path in before} == before

    monkeypatch.undo()  # the release before it leaves them alone
    assert export(tmp_path) == []


def test_a_migration_that_was_edited_after_its_export_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path)
    monkeypatch.setattr(migrations, "_texts", lambda: ((TEXTS[0][0], "-- Edited.\n"), *TEXTS[1:]))
    with pytest.raises(MigrationChangedError, match=TEXTS[0][0]):
        export(tmp_path)


async def test_what_was_pushed_is_what_migrate_makes_and_is_known_to_it(
    tmp_path: Path, empty: str, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await connect(migrated)
    expected = await catalogue(ours)
    await ours.close()
    connection = await connect(empty)
    try:
        await push(connection, export(tmp_path))
        assert await catalogue(connection) == expected
        assert await migrate(empty) == []

        newer_release(monkeypatch)
        await push(connection, export(tmp_path))
        assert await migrate(empty) == []
        signatures = await connection.fetch(
            "select pg_get_function_arguments(oid) from pg_proc where proname = 'note_ping'"
        )
        assert [tuple(s) for s in signatures] == [("p_id uuid, p_more text DEFAULT NULL::text",)]
        monkeypatch.undo()
        recorded = dict(await connection.fetch("select name, checksum from prebooking.migrations"))
        assert compare(recorded).newer == ("functions/70_inspection.sql", "functions/99_grants.sql")
    finally:
        await connection.close()


async def test_what_is_pushed_over_a_migrated_database_leaves_it_as_it_was(tmp_path: Path, empty: str) -> None:
    await migrate(empty)
    connection = await connect(empty)
    try:
        expected = await catalogue(connection)
        await push(connection, export(tmp_path))
        assert await catalogue(connection) == expected
        assert await migrate(empty) == []
    finally:
        await connection.close()
