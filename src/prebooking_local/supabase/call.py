"""One call of one function, in the SQL that PostgREST would send.

Nothing is cast here: Postgres reads the arguments out of the request's own JSON and writes the result as
JSON, so that every conversion, and every complaint about one, is the real one.
"""

import contextlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from prebooking_local.supabase.catalog import Function
from prebooking_local.supabase.database import Database
from prebooking_local.supabase.errors import RestError, lost_database, raised

MAX_ROWS = 1000  # hosted projects cut longer results off without a word


@dataclass(frozen=True)
class Call:
    function: Function
    names: Collection[str]
    arguments: str
    settings: Mapping[str, str]
    reads_only: bool
    role: str
    single: bool = False
    counts: bool = False


@dataclass(frozen=True)
class Result:
    body: str
    rows: int
    total: int | None
    status: int
    headers: list[tuple[str, str]]


async def perform(database: Database, call: Call) -> Result:
    async with database.connection() as connection:
        try:
            return await _in_transaction(connection, call)
        except BaseException as exc:
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await connection.execute("rollback")
            if isinstance(exc, asyncpg.ConnectionDoesNotExistError | asyncpg.InterfaceError | OSError):
                raise lost_database(exc) from exc
            if isinstance(exc, asyncpg.PostgresError | asyncpg.PostgresWarning):  # classes 01 and 02 are warnings
                raise raised(exc, anonymous=call.role == "anon") from exc
            raise


async def _in_transaction(connection: Any, call: Call) -> Result:
    # The role must be set by a statement of its own: privileges are checked before a statement runs.
    await connection.execute(_opening(call))
    row = await connection.fetchrow(_statement(call), call.arguments)
    result = Result(row["body"], row["rows"], row["total"], _status(row["status"]), _headers(row["headers"]))
    if call.single and call.function.returns_set and result.rows != 1:
        raise RestError(
            406,
            "PGRST116",
            "Cannot coerce the result to a single JSON object",
            details=f"The result contains {result.rows} rows",
        )
    await connection.execute("commit")
    return result


def _opening(call: Call) -> str:
    settings = ", ".join(f"set_config({_text(k)}, {_text(v)}, true)" for k, v in call.settings.items())
    return f"begin{' read only' if call.reads_only else ''}; select {settings}"


def _statement(call: Call) -> str:
    function = call.function
    types = {argument.name: argument.type for argument in function.arguments}
    columns = ", ".join(f"{_name(name)} {types[name]}" for name in call.names)
    given = ", ".join(f"{_name(name)} := given.{_name(name)}" for name in call.names)
    source = f"json_to_record($1::text::json) as given ({columns})" if columns else "(select $1::text) as given"
    called = f"public.{_name(function.name)}({given})"
    if function.returns_row:
        rows = f"select answer.* from {source}, lateral {called} as answer"
        column = "_answered"
    else:
        rows = f"select {called} as value from {source}"
        column = "_answered.value"
    whole = "coalesce(json_agg({}), '[]')" if function.returns_set and not call.single else "json_agg({})->0"
    total = "(select count(*) from _all)" if call.counts else "null::bigint"
    return (
        f"with _all as materialized ({rows})"
        f" select coalesce({whole.format(column)}, 'null')::text as body, count(*) as rows, {total} as total,"
        " nullif(current_setting('response.status', true), '') as status,"
        " nullif(current_setting('response.headers', true), '') as headers"
        f" from (select * from _all limit {MAX_ROWS}) as _answered"
    )


def _status(setting: str | None) -> int:
    if setting is None:
        return 200
    if not setting.isdecimal() or not 200 <= int(setting) < 600:
        raise RestError(500, "PGRST112", "response.status guc must be a valid status code")
    return int(setting)


def _headers(setting: str | None) -> list[tuple[str, str]]:
    try:
        return [(str(k), v) for header in json.loads(setting or "[]") for k, v in header.items()]
    except (ValueError, AttributeError, TypeError) as exc:
        message = "response.headers guc must be a JSON array composed of objects with a single key and a string value"
        raise RestError(500, "PGRST111", message) from exc


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
