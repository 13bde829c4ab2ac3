"""Hosts differ: some run no lifespan, some hand on no state, some put a path before ours, some compress."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import structlog
from starlette.types import Message
from tests.support.captured_logs import logged
from tests.support.signing import signature
from tests.support.world import World

from prebooking.web import startup
from prebooking.web.app import create_app
from prebooking.web.services import Services

ANA = "ana@example.com"
PATHS = ("/healthz", "/readyz", "/nothing-here", "/", "/prebookings", "/metrics", "/openapi.json")


class Opener:
    """Opens the services of a running replica, or fails, and counts."""

    def __init__(self, services: Services, failures: int = 0) -> None:
        self.services, self.failures = services, failures
        self.opened = self.closed = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Services]:
        self.task = asyncio.current_task()
        self.context = structlog.contextvars.get_contextvars()
        await asyncio.sleep(0)
        self.opened += 1
        if self.opened <= self.failures:
            raise RuntimeError("no such database")
        try:
            yield self.services
        finally:
            self.closed += 1


def client(app: Any, root_path: str = "") -> httpx.AsyncClient:
    """A server that runs no lifespan and hands on no state."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path=root_path), base_url="http://service")


async def ended(opener: Opener) -> None:
    """As a loop that ends does it, which cancels each task that is left."""
    assert opener.task
    opener.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opener.task
    assert opener.closed == opener.opened - opener.failures


async def test_without_a_lifespan_the_first_requests_open_the_parts_once(sweepless: World) -> None:
    opener = Opener(sweepless.services)
    async with client(create_app(opener, [])) as http:
        answers = await asyncio.gather(*(http.get("/readyz") for _ in range(20)))
        mine = await http.get("/prebookings", headers=sweepless.speaking_for(ANA))
    assert {answer.status_code for answer in (*answers, mine)} == {200}
    assert (opener.opened, opener.closed) == (1, 0)
    await ended(opener)


async def test_who_opens_them_may_leave_and_leaves_nothing_of_its_own(sweepless: World) -> None:
    opener = Opener(sweepless.services)
    async with client(create_app(opener, [])) as http:
        first = asyncio.create_task(http.get("/healthz"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await http.get("/healthz")).status_code == 200
    assert opener.opened == 1
    assert opener.context == {}  # the request's id would be in each line of the loops beside it
    await ended(opener)


async def test_what_can_not_be_opened_is_told_on_every_path_and_tried_again(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = Opener(sweepless.services, failures=1)
    async with client(create_app(opener, [])) as http:
        with logged([]) as log:
            answers = [await http.get(path) for path in PATHS]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "not-opened")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
            assert "no such database" not in answer.text
        assert log.getvalue().count("not_opened") == opener.opened == 1
        monkeypatch.setattr(startup, "_RETRY_AFTER_S", 0)
        assert (await http.get("/readyz")).status_code == 200
    await ended(opener)


async def lifespan(app: Any, scope: dict[str, Any], during: Any) -> list[str]:
    """What a server hears that runs it."""
    said: list[str] = []
    heard: asyncio.Queue[Message] = asyncio.Queue()
    await heard.put({"type": "lifespan.startup"})

    async def send(message: Message) -> None:
        said.append(message["type"])
        if message["type"] == "lifespan.startup.complete":
            await during()
            await heard.put({"type": "lifespan.shutdown"})

    await app({"type": "lifespan", "asgi": {"version": "3.0"}} | scope, heard.get, send)
    return said


@pytest.mark.parametrize("scope", [{}, {"state": {}}])
async def test_a_lifespan_opens_and_closes_them_whatever_state_it_hands_on(
    sweepless: World, scope: dict[str, Any]
) -> None:
    opener = Opener(sweepless.services)
    app = create_app(opener, [])

    async def ask() -> None:
        async with client(app) as http:
            assert (await http.get("/readyz")).status_code == 200
        assert (opener.opened, opener.closed) == (1, 0)

    said = await lifespan(app, scope, ask)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (opener.opened, opener.closed) == (1, 1)


async def test_a_start_that_fails_is_the_servers_to_know(sweepless: World) -> None:
    with pytest.raises(RuntimeError, match="no such database"):
        await lifespan(create_app(Opener(sweepless.services, failures=1), []), {"state": {}}, None)


def test_a_host_with_a_loop_for_each_request_opens_them_in_each() -> None:
    opener = Opener(None)  # type: ignore[arg-type]  # which /healthz needs none of
    app = startup.WithServices(_alive, startup.Startup(opener))

    async def ask() -> None:
        async with client(app) as http:
            assert (await http.get("/")).status_code == 204

    asyncio.run(ask())
    asyncio.run(ask())
    assert (opener.opened, opener.closed) == (2, 2)


async def _alive(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


PREFIXED = [
    ("", ""),  # the proxy takes the path away
    ("/api", ""),  # or passes it on
    ("", "/api"),  # or its server tells it
    ("/api", "/api"),
    ("/api", "/api/"),
]


@pytest.mark.parametrize(("before", "root_path"), PREFIXED)
async def test_below_a_path_all_routes_are_there(sweepless: World, before: str, root_path: str) -> None:
    opener = Opener(_with_public_url(sweepless.services, "https://example.com/api"))
    async with client(create_app(opener, [], prefix="/api"), root_path) as http:
        assert (await http.get(f"{before}/readyz")).status_code == 200
        mine = await http.get(f"{before}/prebookings", headers=sweepless.speaking_for(ANA))
        assert (mine.status_code, mine.json()["prebookings"]) == (200, [])
        contract = (await http.get(f"{before}/openapi.json")).json()
        assert contract["servers"] == [{"url": "/api"}]
        token = signature("https://example.com/api/qstash/sweep", b"")
        swept = await http.post(f"{before}/qstash/sweep", headers={"Upstash-Signature": token})
        assert (swept.status_code, swept.json()["outcome"]) == (200, "swept")
        missing = await http.get(f"{before}/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    await ended(opener)


def _with_public_url(services: Services, public_url: str) -> Services:
    return replace(services, signature_verifier=replace(services.signature_verifier, public_url=public_url))


@pytest.mark.parametrize(("before", "root_path"), [("", ""), ("/prebookings", "/prebookings")])
async def test_a_path_that_is_called_like_one_of_ours_hides_none(sweepless: World, before: str, root_path: str) -> None:
    opener = Opener(sweepless.services)
    async with client(create_app(opener, [], prefix="/prebookings"), root_path) as http:
        answer = await http.get(f"{before}/prebookings", headers=sweepless.speaking_for(ANA))
        assert (answer.status_code, answer.json()["prebookings"]) == (200, [])
    await ended(opener)


ALLOWED = ["https://app.example.com", "https://*.example.org", "https://app-*.vercel.app", "http://localhost:3000"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        *((origin, True) for origin in ("https://app.example.com", "https://a.example.org", "http://localhost:3000")),
        *((origin, True) for origin in ("https://app-git-main.vercel.app", "https://a-b_c9.example.org")),
        *((origin, False) for origin in ("https://example.org", "https://a.b.example.org", "https://aXexample.org")),
        *((origin, False) for origin in ("http://a.example.org", "https://app.vercel.app", "https://app-.vercel.app")),
        *(
            (origin, False)
            for origin in ("https://a.example.org.evil.com", "https://evil.com/.example.org", "null", "")
        ),
        *(
            (origin, False)
            for origin in ("https://a.example.org:8443", "https://*.example.org", "https://a\n.example.org")
        ),
    ],
)
async def test_an_origin_with_a_star_is_each_with_a_text_in_its_place(
    sweepless: World, origin: str, *, allowed: bool
) -> None:
    assert await _allows(sweepless, ALLOWED, origin) is allowed
    assert await _allows(sweepless, ["*"], origin)


async def _allows(world: World, origins: Sequence[str], origin: str) -> bool:
    async with client(create_app(Opener(world.services), origins)) as http:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = await http.options("/prebookings", headers=asked)
    assert answer.status_code in (200, 400)
    return answer.headers.get("access-control-allow-origin") in (origin, "*") and answer.status_code == 200
