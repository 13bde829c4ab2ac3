"""A browser's requests for rows, put to the real PostgREST: our gateway knows no tables."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.contract.postgrest_servers import BINARY, MEMBER, Server, real_postgrest

from prebooking.adapters.migrations import migrate
from prebooking_local.postgres import postgres

pytestmark = pytest.mark.skipif(
    not BINARY, reason="POSTGREST_BINARY is unset: .ci/postgrest obtains the real PostgREST"
)

_ROWS = """
insert into public.prebookings (user_email, booking_data, available_at)
values ($1, '{"day": "20991231", "id": "1"}', '2099-12-27'), ('bea@example.com', '{}', '2099-12-27')
"""


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[tuple[asyncpg.Connection, Any]]:
    async with postgres() as running:
        await migrate(running.dsn())
        connection = await asyncpg.connect(running.dsn())
        await connection.execute("create function public.one_out() returns integer language sql return 1")
        await connection.execute(_ROWS, MEMBER.email.upper())
        yield connection, running
        await connection.close()


@pytest.fixture(scope="module")
async def server(
    database: tuple[asyncpg.Connection, Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    async with real_postgrest(database[1], tmp_path_factory.mktemp("postgrest")) as running:
        yield running


async def ask(server: Server, role: str, method: str, path: str, **request: Any) -> tuple[int, Any]:
    answer = await server.http.request(method, f"{server.url}/rest/v1/{path}", headers=server.keys[role], **request)
    return answer.status_code, answer.json()


async def test_a_browser_reads_its_users_rows_alone(server: Server) -> None:
    columns = "id,user_email,status,booking_data,result,error_code"
    status, rows = await ask(server, "authenticated", "GET", f"prebookings?select={columns}")

    assert status == 200
    assert [row["user_email"] for row in rows] == [MEMBER.email.upper()]
    assert set(rows[0]) == set(columns.split(","))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"prebookings?select={columns}") for columns in ("*", "claim_token", "id,retry_token")),
        ("GET", "prebookings?select=id&claim_token=is.null"),
        ("GET", "auth_sessions?select=id"),
        *((method, "prebookings?id=not.is.null") for method in ("PATCH", "DELETE")),
        *(("POST", path) for path in ("prebookings", "auth_sessions", "rpc/sweep_prebookings")),
    ],
)
async def test_all_else_is_refused(server: Server, method: str, path: str) -> None:
    content = {"sweep_prebookings": {"p_lead_seconds": 0, "p_max_delay_seconds": 0}}.get(path[4:], {"user_email": "x"})
    for role, refusal in (("authenticated", 403), ("anon", 401)):
        status, problem = await ask(server, role, method, path, json=None if method == "GET" else content)
        assert (status, problem["code"]) == (refusal, "42501")


async def test_the_real_one_heeds_the_time_a_function_has(
    server: Server, database: tuple[asyncpg.Connection, Any]
) -> None:
    connection = database[0]
    clock = await connection.fetchval("select pg_get_functiondef('prebooking.now()'::regprocedure)")
    slow = "select pg_catalog.clock_timestamp() from pg_catalog.pg_sleep(30)"
    await connection.execute(clock.replace("select pg_catalog.clock_timestamp()", slow))
    try:
        answer = await server.call("sweep_prebookings", {"p_lead_seconds": 3, "p_max_delay_seconds": 1})
    finally:
        await connection.execute(clock)
    assert answer.json()["code"] == "57014"
