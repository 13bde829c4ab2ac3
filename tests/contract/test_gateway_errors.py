"""The store against the real PostgREST behind a gateway: what each of the two says in the database's place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import httpx
import jwt
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.contract.postgrest_servers import BINARY, JWT_SECRET, Server, real_postgrest

from prebooking.adapters.migrations import migrate
from prebooking.adapters.supabase.store import SupabaseStore, open_store
from prebooking.domain.errors import StoreTrouble, StoreUnavailableError
from prebooking.domain.prebooking import Box
from prebooking.domain.transitions import Limits
from prebooking_local.postgres import Postgres, postgres
from prebooking_local.serving import serve_asgi

pytestmark = pytest.mark.skipif(
    not BINARY, reason="POSTGREST_BINARY is unset: .ci/postgrest obtains the real PostgREST"
)

ANA = "ana@example.com"
HTML = ("<html><body>error code: 522</body></html>", "text/html")
JSON = ('{"message": "An invalid response was received from the upstream server"}', "application/json")


@dataclass
class Gateway:
    """Takes the prefix off, as hosted Supabase's does; says what it is told to, so many times, instead."""

    behind: Server
    url: str = ""
    says: list[tuple[int, str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if self.says:
            status, text, media_type = self.says.pop(0)
            await Response(text, status, media_type=media_type)(scope, receive, send)
            return
        headers = {name: request.headers[name] for name in ("authorization", "content-type", "content-profile")}
        answer = await self.behind.http.post(f"{self.behind.url}{request.url.path}", content=body, headers=headers)
        passed = {name: answer.headers[name] for name in ("content-type", "proxy-status") if name in answer.headers}
        await Response(answer.content, answer.status_code, passed)(scope, receive, send)


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Postgres]:
    async with postgres() as running:
        await migrate(running.dsn())
        connection = await asyncpg.connect(running.dsn())
        await connection.execute("create function public.one_out() returns integer language sql return 1")
        await connection.close()
        yield running


@pytest.fixture(scope="module")
async def gateway(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with real_postgrest(database, tmp_path_factory.mktemp("postgrest")) as server:
        gateway = Gateway(server)
        async with serve_asgi(gateway, host="127.0.0.1", port=0) as gateway.url:
            yield gateway


@asynccontextmanager
async def store_of(gateway: Gateway, **claims: str) -> AsyncIterator[SupabaseStore]:
    async with open_store(gateway.url, jwt.encode({"role": "service_role"} | claims, JWT_SECRET), "a replica") as store:
        yield store


async def create(store: SupabaseStore) -> str:
    now = datetime.now(UTC)
    data = {"day": f"{now + timedelta(days=4):%Y%m%d}", "id": uuid4().hex}
    box, limits = Box(subdomain="mygym", aimharder_id="7"), Limits(active=1000, per_minute=1000)
    return (await store.create(uuid4(), ANA, box, data, now, limits=limits, key=uuid4())).outcome


@pytest.mark.parametrize("said", [HTML, JSON, ("", "text/plain")], ids=["html", "json", "empty"])
async def test_a_gateways_passing_trouble_costs_a_second_try(gateway: Gateway, said: tuple[str, str]) -> None:
    async with store_of(gateway) as store:
        for status in (429, 502, 503, 504, 520, 522, 530, 540):
            gateway.says = [(status, *said)]
            assert await create(store) == "created"
            assert gateway.says == []


async def test_an_e_mails_owner_is_asked_for_through_both(gateway: Gateway) -> None:
    email = f"{uuid4().hex}@example.com"
    async with store_of(gateway) as store:
        gateway.says = [(502, *JSON)]
        assert (await store.own_email("first", email, datetime.now(UTC))).outcome == "owned"
        assert (await store.own_email("second", email, None)).outcome == "taken"


@pytest.mark.parametrize(
    ("claims", "trouble"),
    [
        ({"exp": 1}, StoreTrouble.KEY_REFUSED),
        ({"role": "authenticated"}, StoreTrouble.NOT_ALLOWED),
        ({"role": "anon"}, StoreTrouble.NOT_ALLOWED),
    ],
    ids=str,
)
async def test_a_wrong_key_is_told_from_one_that_may_not(
    gateway: Gateway, claims: dict[str, str], trouble: StoreTrouble
) -> None:
    async with store_of(gateway, **claims) as store:
        with pytest.raises(StoreUnavailableError) as failed:
            await store.check()
    assert failed.value.trouble is trouble


async def test_a_function_that_is_missing_and_a_server_that_is_no_postgrest(gateway: Gateway) -> None:
    async with store_of(gateway) as store:
        with pytest.raises(StoreUnavailableError) as failed:
            await store._rpc.call("no_such_function")
        assert failed.value.trouble is StoreTrouble.FUNCTION_MISSING
    key = jwt.encode({"role": "service_role"}, JWT_SECRET)
    async with open_store(f"{gateway.url}/elsewhere", key, "a replica") as store:
        with pytest.raises(StoreUnavailableError) as failed:
            await store.check()
    assert failed.value.trouble is StoreTrouble.NOT_POSTGREST


async def test_a_database_that_is_shut_down_is_busy_until_it_is_back(gateway: Gateway, database: Postgres) -> None:
    connection = await asyncpg.connect(database.dsn(user="supabase_admin"))
    try:
        async with store_of(gateway) as store:
            for _ in range(5):
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'"
                )
                assert await create(store) == "created"
    finally:
        await connection.close()


async def test_the_gateway_of_this_test_lets_through_what_it_has_no_word_for(gateway: Gateway) -> None:
    async with httpx.AsyncClient() as http:
        gateway.says = [(418, *HTML)]
        assert (await http.post(f"{gateway.url}/rest/v1/rpc/one_out")).status_code == 418
