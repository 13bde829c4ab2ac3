"""PostgREST's function calls, written once and put to our gateway and to the real PostgREST.

Codes, statuses and shapes are compared; the wording of PostgREST's own messages changes with its version.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.contract.postgrest_servers import BINARY, MEMBER, Server, our_gateway, real_postgrest, until_status

from prebooking_local.postgres import Postgres, postgres

FUNCTIONS = (Path(__file__).parent / "postgrest_functions.sql").read_text()
SINGLE = {"accept": "application/vnd.pgrst.object+json"}


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Postgres]:
    async with postgres() as running:
        await execute(running, FUNCTIONS)
        yield running


@pytest.fixture(scope="module", params=["our gateway", *(["real PostgREST"] if BINARY else [])])
async def server(
    request: pytest.FixtureRequest, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    if request.param == "our gateway":
        async with our_gateway(database) as running:
            yield running
    else:
        async with real_postgrest(database, tmp_path_factory.mktemp("postgrest")) as running:
            yield running


@pytest.mark.skipif(not BINARY, reason="POSTGREST_BINARY is unset: .ci/postgrest obtains the real PostgREST")
def test_the_real_postgrest_is_put_to_the_same_tests() -> None:
    assert subprocess.run([BINARY, "--version"], capture_output=True, check=True).stdout


async def execute(database: Postgres, sql: str) -> None:
    connection = await asyncpg.connect(database.dsn())
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def until_active(database: Postgres, function: str) -> None:
    connection = await asyncpg.connect(database.dsn(user="supabase_admin"))
    active = "select true from pg_stat_activity where state = 'active' and usename = 'authenticator' and query ~ $1"
    try:
        async with asyncio.timeout(30):
            while not await connection.fetchval(active, function):
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("function", "arguments", "body"),
    [
        ("add_one", {"x": 1}, "2"),
        ("add_one", {"x": None}, "null"),
        ("greet", {"name": "Ana"}, '"hello Ana"'),
        ("greet", {"greeting": "bye", "name": "Ana"}, '"bye Ana"'),
        ("numbers", {"n": 3}, "[1, 2, 3]"),
        ("numbers", {"n": 0}, "[]"),
        (
            "all_things",
            {},
            (
                '[{"id":1,"name":"rope","mood":"calm","made_at":"2026-01-02T03:04:05.678901+00:00","weight":1.10}, \n'
                ' {"id":2,"name":"ball","mood":"keen","made_at":"2026-01-02T01:04:05.6+00:00","weight":null}]'
            ),
        ),
        ("thing", {"i": 9}, '{"id":null,"name":null,"mood":null,"made_at":null,"weight":null}'),
        ("thing_table", {"i": 1}, '[{"id":1}]'),
        ("thing_table", {"i": 9}, "[]"),
        ("one_out", {}, '{"total":2}'),
        ("echo_json", {"j": {"b": 1, "a": [None]}}, '{"b":1,"a":[null]}'),
        ("echo", {"j": {"b": 1, "a": [None]}}, '{"a": [null], "b": 1}'),
        ("echo_big", {"x": 9007199254740993}, "9007199254740993"),
        ("echo_big", {"x": "9007199254740993"}, "9007199254740993"),
        ("echo_time", {"t": "2026-03-29T09:00:00+02:00"}, '"2026-03-29T07:00:00+00:00"'),
        (
            "echo_uuid",
            {"u": "6F1B2C3D-0000-4000-8000-00000000000A"},
            '"6f1b2c3d-0000-4000-8000-00000000000a"',
        ),
        ("echo_bytes", {"b": "\\xDEADBEEF"}, '"\\\\xdeadbeef"'),
        ("echo_mood", {"m": "keen"}, '"keen"'),
        ("echo_array", {"a": ["x", 'y "z"', None]}, '["x","y \\"z\\"",null]'),
        ("overloaded", {"y": "unmistakable"}, "3"),
    ],
)
async def test_each_kind_of_result_is_the_same_bytes(
    server: Server, function: str, arguments: dict[str, Any], body: str
) -> None:
    response = await server.call(function, arguments)

    assert (200, body) == (response.status_code, response.text)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


async def test_void_answers_204_without_a_body(server: Server) -> None:
    response = await server.call("nothing")

    assert (response.status_code, response.content) == (204, b"")


async def test_a_result_is_cut_off_at_a_thousand_rows_without_a_word(server: Server) -> None:
    response = await server.call("numbers", {"n": 1500})

    assert (response.status_code, len(response.json())) == (200, 1000)
    assert response.headers["content-range"] == "0-999/*"


@pytest.mark.parametrize(
    ("rows", "status", "content_range"), [(3, 200, "0-2/3"), (0, 200, "*/0"), (1500, 206, "0-999/1500")]
)
async def test_the_exact_count_is_told_when_asked_for(
    server: Server, rows: int, status: int, content_range: str
) -> None:
    response = await server.call("numbers", {"n": rows}, headers={"prefer": "count=exact"})

    assert (status, content_range) == (response.status_code, response.headers["content-range"])


async def test_a_single_object_is_given_when_there_is_exactly_one_row(server: Server) -> None:
    one = await server.call("thing_table", {"i": 1}, headers=SINGLE)
    none = await server.call("thing_table", {"i": 9}, headers=SINGLE)
    many = await server.call("all_things", headers=SINGLE)

    assert (one.status_code, one.text) == (200, '{"id":1}')
    assert [(r.status_code, r.json()["code"]) for r in (none, many)] == [(406, "PGRST116")] * 2
    assert many.json()["details"] == "The result contains 2 rows"


async def test_what_a_refused_single_result_wrote_is_rolled_back(server: Server) -> None:
    refused = await server.call("keep_two", headers=SINGLE)

    assert refused.status_code == 406
    assert (await server.call("count_of", {"i": 90})).json() == 0


@pytest.mark.parametrize(
    ("function", "arguments", "status", "code"),
    [
        ("add_one", {"x": "a"}, 400, "22P02"),
        ("echo_time", {"t": "yesterweek"}, 400, "22007"),
        ("echo_mood", {"m": "bored"}, 400, "22P02"),
        ("keep", {"i": 1}, 409, "23505"),
        ("keep", {"i": None}, 400, "23502"),
        ("too_slow", {}, 500, "57014"),
        ("nowhere", {}, 404, "PGRST202"),
        ("add_one", {}, 404, "PGRST202"),
        ("add_one", {"y": 1}, 404, "PGRST202"),
        ("add_one", {"x": 1, "y": 2}, 404, "PGRST202"),
        ("overloaded", {"x": 1}, 300, "PGRST203"),
    ],
)
async def test_what_cannot_be_done_has_its_status_and_code(
    server: Server, function: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    response = await server.call(function, arguments)

    assert (status, code) == (response.status_code, response.json()["code"])
    assert {"code", "message", "details", "hint"} == response.json().keys()


async def test_an_ambiguous_call_names_its_candidates(server: Server) -> None:
    response = await server.call("overloaded", {"x": 1})

    assert "public.overloaded(x => integer), public.overloaded(x => text)" in response.json()["message"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *[(code, 400) for code in ("P0001", "22023", "23514", "45000", "ZZ999", "02000")],
        *[(code, 403) for code in ("28000", "0L000", "0P000", "42501")],
        *[(code, 404) for code in ("42883", "42P01")],
        ("25006", 405),
        *[(code, 409) for code in ("23503", "23505", "PT409")],
        ("54000", 413),
        ("PT422", 422),
        *[(code, 500) for code in ("09000", "25001", "2D000", "38000", "39000", "3B000", "40P01", "55P03")],
        *[(code, 500) for code in ("57014", "58000", "F0000", "HV000", "P0002", "P0004", "XX000")],
        *[(code, 503) for code in ("08006", "53300", "57P01")],
    ],
)
async def test_a_raised_sqlstate_decides_the_status_and_keeps_its_words(server: Server, code: str, status: int) -> None:
    response = await server.call("complain", {"code": code})

    assert response.status_code == status
    assert {"code": code, "message": "no", "details": "since", "hint": "try"} == response.json()


async def test_a_function_may_word_the_whole_error_itself(server: Server) -> None:
    said = {"code": "LEASE_LOST", "message": "another holds it", "details": "d", "hint": "h"}
    manner = {"status": 409, "headers": {"x-reason": "lease"}}
    response = await server.call(
        "complain", {"code": "PGRST", "message": json.dumps(said), "detail": json.dumps(manner)}
    )

    assert (409, said) == (response.status_code, response.json())
    assert response.headers["x-reason"] == "lease"


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("no json", '{"status": 409, "headers": {}}'),
        ('{"code": "X"}', '{"status": 409, "headers": {}}'),
        ('{"code": "X", "message": "m"}', "no json"),
        ('{"code": "X", "message": "m"}', '{"status": 409}'),
    ],
)
async def test_an_error_worded_badly_is_an_error_of_its_own(server: Server, message: str, detail: str) -> None:
    response = await server.call("complain", {"code": "PGRST", "message": message, "detail": detail})

    assert (response.status_code, response.json()["code"]) == (500, "PGRST121")


async def test_a_function_may_set_the_status_and_headers_of_its_success(server: Server) -> None:
    response = await server.call("answer_with", {"status": "202", "headers": '[{"x-note": "later"}]'})

    assert (response.status_code, response.text, response.headers["x-note"]) == (202, "1", "later")


@pytest.mark.parametrize(("status", "headers", "code"), [("soon", "", "PGRST112"), ("", '{"x": "y"}', "PGRST111")])
async def test_a_status_or_headers_set_badly_are_an_error(server: Server, status: str, headers: str, code: str) -> None:
    response = await server.call("answer_with", {"status": status, "headers": headers})

    assert (500, code) == (response.status_code, response.json()["code"])


@pytest.mark.parametrize(("role", "status"), [("service_role", 200), ("authenticated", 403), ("anon", 401)])
async def test_a_revoked_function_is_for_the_service_alone(server: Server, role: str, status: int) -> None:
    response = await server.call("for_services", role=role)

    assert status == response.status_code
    if status != 200:
        assert response.json()["code"] == "42501"


@pytest.mark.parametrize(("role", "limit"), [("service_role", "8s"), ("authenticated", "8s"), ("anon", "3s")])
async def test_each_role_has_its_own_time_limit(server: Server, role: str, limit: str) -> None:
    assert (await server.call("setting", {"name": "role"}, role=role)).json() == role
    assert (await server.call("setting", {"name": "statement_timeout"}, role=role)).json() == limit


async def test_a_members_claims_reach_the_function(server: Server) -> None:
    response = await server.call("setting", {"name": "request.jwt.claims"}, role="authenticated")
    claims = json.loads(response.json())

    assert (MEMBER.email, str(MEMBER.id), "authenticated") == (
        claims["email"],
        claims["sub"],
        claims["role"],
    )


async def test_the_request_is_told_to_the_function(server: Server) -> None:
    headers = {"x-instance-id": "a'\\b", "cookie": "a=b"}

    async def setting(name: str) -> Any:
        return (await server.call("setting", {"name": name}, headers=headers)).json()

    assert json.loads(await setting("request.headers"))["x-instance-id"] == "a'\\b"
    assert json.loads(await setting("request.cookies")) == {"a": "b"}
    assert await setting("request.method") == "POST"
    assert await setting("request.path") == "/rpc/setting"


async def test_settings_of_one_request_do_not_reach_the_next(server: Server) -> None:
    await server.call("setting", {"name": "role"}, headers={"x-mine": "secret"})
    later = await server.call("setting", {"name": "request.headers"}, role="anon")

    assert "x-mine" not in json.loads(later.json())


async def test_reading_calls_run_in_a_read_only_transaction(server: Server) -> None:
    name = {"name": "transaction_read_only"}
    got = await server.call("setting", method="GET", params=name)

    assert (got.json(), (await server.call("stable_setting", name)).json()) == ("on", "on")
    assert (await server.call("setting", name)).json() == "off"
    writing = await server.call("keep", method="GET", params={"i": "50"})
    assert (writing.status_code, writing.json()["code"]) == (405, "25006")


async def test_head_answers_as_get_without_the_body(server: Server) -> None:
    response = await server.call("add_one", method="HEAD", params={"x": "1"})

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused(server: Server, method: str) -> None:
    response = await server.call("one_out", method=method)

    assert (response.status_code, response.json()["code"]) == (405, "PGRST101")


@pytest.mark.parametrize("body", [b"{bad", b'["x"]'])
async def test_a_body_that_is_no_object_is_refused(server: Server, body: bytes) -> None:
    response = await server.call("one_out", content=body, headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (400, "PGRST102")


async def test_another_schema_is_refused(server: Server) -> None:
    response = await server.call("one_out", headers={"content-profile": "auth"})

    assert (response.status_code, response.json()["code"]) == (406, "PGRST106")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2ln"])
async def test_a_token_that_is_not_ours_is_refused(server: Server, token: str) -> None:
    response = await server.call("one_out", headers={"authorization": f"Bearer {token}"})

    assert (response.status_code, response.json()["code"]) == (401, "PGRST301")
    assert response.headers["www-authenticate"].startswith("Bearer error=")


async def test_a_changed_function_is_known_after_a_notice(server: Server, database: Postgres) -> None:
    await execute(database, "create or replace function fresh() returns int language sql as 'select 1'")
    await execute(database, "notify pgrst, 'reload schema'")
    assert (await until_status(server, 200, "fresh")).text == "1"

    await execute(database, "drop function fresh(); create function fresh() returns void language sql as '';")
    await execute(database, "notify pgrst, 'reload schema'")
    await until_status(server, 204, "fresh")
    await execute(database, "drop function fresh()")


async def test_an_added_column_is_seen_after_a_notice(server: Server, database: Postgres) -> None:
    await execute(
        database,
        "create table growing (a int); insert into growing values (1);"
        "create function grown() returns setof growing language plpgsql as 'begin return query table growing; end'",
    )
    await execute(database, "notify pgrst, 'reload schema'")
    await until_status(server, 200, "grown")
    before = await asyncio.gather(*(server.call("grown") for _ in range(20)))  # on every pooled connection

    await execute(database, "alter table growing add b int default 2")
    await execute(database, "create function grown_on() returns int language sql as 'select 1'; notify pgrst")
    await until_status(server, 200, "grown_on")
    after = await asyncio.gather(*(server.call("grown") for _ in range(20)))
    assert [r.json() for r in before] == [[{"a": 1}]] * 20
    assert [r.json() for r in after] == [[{"a": 1, "b": 2}]] * 20
    await execute(database, "drop function grown(), grown_on(); drop table growing")


async def test_a_call_cut_off_by_a_crash_leaves_its_outcome_open(server: Server, database: Postgres) -> None:
    calling = asyncio.create_task(server.call("wait_for_a_crash"))
    await until_active(database, "wait_for_a_crash")
    await database.restart(immediate=True)
    cut_off = await calling

    assert (cut_off.status_code, cut_off.json()["code"]) == (503, "PGRST001")
    await until_status(server, 200)


async def test_calls_fail_while_the_database_is_down_and_succeed_once_it_is_back(
    server: Server, database: Postgres
) -> None:
    await until_status(server, 200)
    await database.stop(immediate=True)
    down = [await server.call("one_out") for _ in range(2)]
    await database.start()

    # The first call on a connection that died while idle gets 400 and an empty code from the real one.
    assert {(503, "PGRST000"), (503, "PGRST001"), (400, "")} >= {(r.status_code, r.json()["code"]) for r in down}
    assert down[-1].status_code == 503
    await until_status(server, 200)
