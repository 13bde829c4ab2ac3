"""Each object is defined at one place in `sql/`, and what is defined there is what is in force."""

import re
from collections import Counter
from pathlib import Path

import asyncpg

from prebooking.adapters.migrations import scripts, shipped_functions

_SQL = Path(__file__).parents[2] / "sql"
_TEXTS = {path.name: path.read_text() for path in sorted(_SQL.glob("*/*.sql"))}
_WHOLE = "\n".join(_TEXTS.values())
_DEFINITION = re.compile(
    r"\b(?:create (?:or replace )?(?:unique )?(table|index|function|trigger|policy|type|view|sequence|schema)"
    r"|add (constraint))(?: if not exists)? ([\w.]+)"
)
_COLUMN = re.compile(r"(?<=add )column if not exists \w+")
_OURS = """
select 'function' as kind, p.oid::regprocedure::regproc::text as name from pg_proc p
where p.pronamespace::regnamespace::text = any($1)
union all
select 'trigger', tgname from pg_trigger where not tgisinternal
union all
select 'policy', polname from pg_policy
union all
select case c.relkind when 'r' then 'table' else 'index' end,
  case c.relkind when 'r' then c.oid::regclass::text else c.relname end
from pg_class c left join pg_constraint k on k.conindid = c.oid
where c.relkind in ('r', 'i') and k is null and c.relnamespace::regnamespace::text = any($1)
"""


def defined() -> list[tuple[str, str]]:
    return [(kind or constraint, name) for kind, constraint, name in _DEFINITION.findall(_WHOLE)]


def test_every_file_is_applied_and_named_in_the_readme() -> None:
    files = [path.relative_to(_SQL).as_posix() for path in sorted(_SQL.rglob("*.sql"))]
    assert sorted(script.name for script in scripts()) == files
    readme = (_SQL / "README.md").read_text()
    assert [name for name in _TEXTS if f"`{name}`" not in readme] == []


def test_nothing_is_defined_twice() -> None:
    assert [found for found, times in Counter(defined()).items() if times > 1] == []
    for _, alteration in re.findall(r"alter table (\w+\.\w+)\n((?:  add column.*\n|  --.*\n)+)", _WHOLE):
        columns = _COLUMN.findall(alteration)
        assert len(columns) == len(set(columns)) > 0


async def test_what_is_defined_is_all_there_is(migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    try:
        found = await connection.fetch(_OURS, ["public", "prebooking"])
    finally:
        await connection.close()
    plain = {(row["kind"], row["name"].removeprefix("public.")) for row in found}
    kinds = {"function", "trigger", "policy", "table", "index"}
    assert plain == {(kind, name.removeprefix("public.")) for kind, name in defined() if kind in kinds}


def test_the_service_may_call_each_function_of_the_public_schema() -> None:
    """By the one list in 99_grants.sql, by which each of them gets its grants and its time-outs."""
    (names,) = re.findall(r"called constant text\[\] := array\[(.*?)\]", _TEXTS["99_grants.sql"], re.DOTALL)
    assert Counter(re.findall(r"'(\w+)'", names)) == Counter(shipped_functions())


def test_settings_that_all_functions_have_are_named_once() -> None:
    """Else one that is written without them would be taken for one that has none."""
    for setting in ("search_path", "statement_timeout", "lock_timeout"):
        assert [name for name, text in _TEXTS.items() if f"set {setting}" in text] == ["99_grants.sql"]
