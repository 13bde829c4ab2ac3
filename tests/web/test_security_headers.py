"""What browsers are told: on each answer, whoever gives it, and which pages may read it."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from tests.support.world import Outside, World, open_world

from prebooking.web.app import create_app

ORIGIN, FOREIGN = "https://app.example.com", "https://app.example.com.evil.example"
HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


@pytest.fixture
async def known(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """With a frontend at ORIGIN."""
    async with open_world(database, *outside, frontend_origins=[ORIGIN], sweep_seconds=0) as world:
        yield world


def preflight(origin: str, method: str) -> dict[str, str]:
    sent = "authorization,content-type,idempotency-key"
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": sent}


async def test_each_answer_has_them_and_an_id_whoever_gives_it(known: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(known.services.store), "check", broken)
    http, ana = known.http, known.speaking_for("ana@example.com")
    answers = {
        200: await http.get("/healthz"),
        400: await http.options("/prebookings", headers=preflight(FOREIGN, "GET")),
        401: await http.get("/prebookings"),
        404: await http.get("/no/such/page"),
        405: await http.put("/prebookings"),
        413: await http.post("/prebookings", headers=ana | {"Content-Type": "application/json"}, content=b" " * 17_000),
        500: await http.get("/readyz"),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert HEADERS.items() <= dict(answer.headers).items(), status
        assert answer.headers["x-request-id"]
        assert "strict-transport-security" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_https_alone_is_told_where_the_service_is_reached_by_it() -> None:
    transport = httpx.ASGITransport(create_app(lambda: pytest.fail("not started"), [ORIGIN], https=True))
    async with httpx.AsyncClient(transport=transport, base_url="https://service") as http:
        answer = await http.options("/session", headers=preflight(ORIGIN, "GET"))
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_a_page_of_the_frontend_may_use_each_method(known: World) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = await known.http.options("/session", headers=preflight(ORIGIN, method))
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert method in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_foreign_page_may_not_even_one_that_begins_alike(known: World) -> None:
    for origin in (FOREIGN, "https://app.example.com:8443", "http://app.example.com", "null", "*"):
        asked = await known.http.options("/prebookings", headers=preflight(origin, "POST"))
        read = await known.http.get("/healthz", headers={"Origin": origin})
        assert asked.status_code == 400
        for answer in (asked, read):
            assert "access-control-allow-origin" not in answer.headers
            assert "Origin" in answer.headers["vary"]
