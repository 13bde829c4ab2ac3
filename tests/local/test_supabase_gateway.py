"""The gateway as the unmodified Supabase client meets it, with its keys, its limits and its bad days."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from prebooking_local.postgres import Postgres
from prebooking_local.supabase import SECRET_KEY, Fault, Gateway, Member, supabase_gateway

FUNCTIONS = """
create table kept (n int);
create function keep(n int) returns int language sql as 'insert into kept values (n) returning n';
create function count_of(m int) returns bigint language sql as 'select count(*) from kept where n = m';
create function nothing() returns void language sql as '';
create function null_number() returns int language sql as 'select null::int';
create function numbers() returns setof int language sql as 'select generate_series(1, 3)';
create function who() returns text language sql as 'select current_setting(''role'')';
create function complain() returns int language plpgsql as $$ begin
    raise sqlstate 'PGRST' using message = '{"code": "LEASE_LOST", "message": "m", "details": "d", "hint": "h"}',
        detail = '{"status": 409, "headers": {}}';
end $$;
create function wait_for_lock() returns int language plpgsql as $$ begin
    perform pg_advisory_xact_lock(1);
    return 1;
end $$;
"""


@pytest.fixture(scope="module")
async def dsn(server: Postgres) -> str:
    name = "gateway_tests"
    connection = await asyncpg.connect(await server.create_database(name))
    await connection.execute(FUNCTIONS)
    await connection.close()
    return server.dsn(name, user="authenticator")


@pytest.fixture(scope="module")
async def running(dsn: str) -> AsyncIterator[Gateway]:
    async with supabase_gateway(dsn, members=[Member("ana@example.com", "correct horse")]) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    running.faults.set()
    return running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def service(gateway: Gateway, http: httpx.AsyncClient) -> AsyncClient:
    return await sdk(gateway, gateway.secret_key, http)


async def sdk(gateway: Gateway, key: str, http: httpx.AsyncClient) -> AsyncClient:
    options = AsyncClientOptions(httpx_client=http, persist_session=False, auto_refresh_token=False)
    return await acreate_client(gateway.url, key, options)


async def data(client: AsyncClient, function: str, arguments: dict[str, Any] | None = None) -> Any:
    return (await client.rpc(function, arguments or {}).execute()).data


async def post(gateway: Gateway, http: httpx.AsyncClient, function: str, **headers: str) -> httpx.Response:
    return await http.post(f"{gateway.url}/rest/v1/rpc/{function}", headers=headers)


async def test_the_sdk_reads_each_shape(service: AsyncClient) -> None:
    assert await data(service, "nothing") == []
    assert await data(service, "null_number") is None
    assert await data(service, "numbers") == [1, 2, 3]
    assert await data(service, "keep", {"n": 5}) == 5


async def test_the_sdk_gets_a_functions_own_error(service: AsyncClient) -> None:
    with pytest.raises(APIError) as caught:
        await data(service, "complain")

    error = caught.value
    assert (error.code, error.message, error.details, error.hint) == ("LEASE_LOST", "m", "d", "h")


async def test_a_key_or_a_members_token_decides_the_role(
    gateway: Gateway, http: httpx.AsyncClient, service: AsyncClient
) -> None:
    assert await data(service, "who") == "service_role"
    assert await data(await sdk(gateway, gateway.publishable_key, http), "who") == "anon"
    token = gateway.auth.access_token("Ana@example.com")
    member = await post(gateway, http, "who", apikey=gateway.publishable_key, authorization=f"Bearer {token}")
    assert member.json() == "authenticated"


async def test_an_expired_token_is_refused(gateway: Gateway, http: httpx.AsyncClient) -> None:
    token = gateway.auth.access_token("ana@example.com", exp=1)
    response = await post(gateway, http, "who", apikey=gateway.publishable_key, authorization=f"Bearer {token}")

    assert (response.status_code, response.json()["code"]) == (401, "PGRST303")


@pytest.mark.parametrize("key", ["", "sb_secret_of_another_project"])
async def test_without_a_known_key_nobody_gets_in(gateway: Gateway, http: httpx.AsyncClient, key: str) -> None:
    response = await post(gateway, http, "who", apikey=key, authorization=f"Bearer {gateway.secret_key}")

    assert response.status_code == 401
    assert response.json().keys() == {"message", "hint"}


async def test_the_secret_key_is_refused_to_a_browser(gateway: Gateway, http: httpx.AsyncClient) -> None:
    headers = {"apikey": gateway.secret_key, "user-agent": "Mozilla/5.0"}

    assert (await post(gateway, http, "who", **headers)).status_code == 401


async def test_tables_are_loudly_not_there(service: AsyncClient) -> None:
    with pytest.raises(APIError, match="call a function"):
        await service.table("kept").select("*").execute()


async def test_filters_on_results_are_loudly_not_there(service: AsyncClient) -> None:
    with pytest.raises(APIError, match="filters no results"):
        await service.rpc("numbers").limit(1).execute()


async def test_a_dropped_call_was_never_made(gateway: Gateway, service: AsyncClient) -> None:
    gateway.faults.set(Fault(kind="drop"))

    with pytest.raises(httpx.RemoteProtocolError):
        await data(service, "keep", {"n": 10})
    assert await data(service, "count_of", {"m": 10}) == 0


async def test_a_lost_answer_was_committed(gateway: Gateway, service: AsyncClient) -> None:
    gateway.faults.set(Fault(kind="lose_answer"))

    with pytest.raises(httpx.RemoteProtocolError):
        await data(service, "keep", {"n": 11})
    assert await data(service, "count_of", {"m": 11}) == 1


@pytest.mark.parametrize(("kind", "code"), [("unavailable", "503"), ("blank", "")])
async def test_a_failing_answer_was_never_a_call(gateway: Gateway, service: AsyncClient, kind: Any, code: str) -> None:
    gateway.faults.set(Fault(kind=kind, times=2))
    for _ in range(2):
        with pytest.raises(APIError) as caught:
            await data(service, "keep", {"n": 12})
        assert caught.value.code == code

    assert await data(service, "count_of", {"m": 12}) == 0


async def test_a_fault_may_be_for_one_function_alone(gateway: Gateway, service: AsyncClient) -> None:
    gateway.faults.set(Fault(kind="unavailable", function="nothing", times=None))

    assert await data(service, "who") == "service_role"
    for _ in range(2):
        with pytest.raises(APIError):
            await data(service, "nothing")


async def test_a_call_that_its_client_gave_up_on_is_still_made(gateway: Gateway, service: AsyncClient) -> None:
    gateway.faults.set(Fault(kind="delay", seconds=0.2))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await data(service, "keep", {"n": 13})
    async with asyncio.timeout(30):
        while await data(service, "count_of", {"m": 13}) == 0:
            await asyncio.sleep(0.01)


async def test_faults_are_set_and_read_over_http(gateway: Gateway, http: httpx.AsyncClient) -> None:
    control = f"{gateway.url}/_control/faults"
    fault = {"kind": "drop", "function": "keep", "times": 2, "seconds": 0.0}

    assert (await http.post(control, json=[fault])).json() == [fault]
    with pytest.raises(httpx.RemoteProtocolError):
        await post(gateway, http, "keep", apikey=gateway.secret_key)
    assert (await http.get(control)).json() == [{**fault, "times": 1}]
    assert (await http.post(control, json=[{"kind": "flood"}])).status_code == 422
    assert (await http.post(control, json=[])).json() == []


async def test_a_full_pool_makes_the_next_call_wait_and_then_refuses_it(
    server: Postgres, dsn: str, http: httpx.AsyncClient
) -> None:
    blocker = await asyncpg.connect(server.dsn("gateway_tests"))
    await blocker.execute("select pg_advisory_lock(1)")
    async with supabase_gateway(dsn, pool_size=1, acquire_seconds=0.2) as gateway:
        client = await sdk(gateway, gateway.secret_key, http)
        waiting = asyncio.create_task(data(client, "wait_for_lock"))
        async with asyncio.timeout(30):
            while not await blocker.fetchval("select true from pg_locks where not granted"):
                await asyncio.sleep(0.01)

        with pytest.raises(APIError) as caught:
            await data(client, "who")
        assert caught.value.code == "PGRST003"

        await blocker.close()
        assert await waiting == 1


async def test_as_a_process_it_tells_its_url_and_ends_with_its_input(dsn: str, http: httpx.AsyncClient) -> None:
    arguments = ["--database-url", dsn, "--member", "bo@example.com:pw"]
    process = start_process(arguments)
    assert process.stdout
    assert process.stdin
    url = json.loads(await asyncio.to_thread(process.stdout.readline))["url"]
    response = await http.post(f"{url}/rest/v1/rpc/who", headers={"apikey": SECRET_KEY})

    assert response.json() == "service_role"
    process.stdin.close()
    assert await asyncio.to_thread(process.wait, 5) == 0
    process.stdout.close()


def start_process(arguments: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prebooking_local.supabase", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
