"""Errors: problem details, each with its code and the id of its request."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
import structlog
from tests.support.signing import EXECUTE, FAILED, SWEEP, body_of, callback_of, deliver
from tests.support.world import Outside, World, open_world

from prebooking_local.supabase.faults import Fault

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
SOME_ID = "00000000-0000-4000-8000-000000000000"
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    said = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(said) >= MEMBERS
    assert (answer.status_code, said["status"], said["code"]) == (status, status, code)
    assert said["instance"] == answer.request.url.path
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["title"]
    assert said["detail"]


async def test_each_kind_of_error_is_a_problem_with_its_code(world: World) -> None:
    http, ana = world.http, world.speaking_for(ANA)
    row = await world.prebook(ANA, SOON)
    wish = world.wish(SOON + timedelta(hours=1)) | {"booking_data": row["booking_data"]}
    json_headers = ana | {"Content-Type": "application/json"}

    assert_problem(await http.post("/prebookings", headers=json_headers, content=b"{"), 400, "malformed-json")
    assert_problem(await http.get("/prebookings"), 401, "unauthorized")
    assert_problem(await http.post(EXECUTE), 401, "unauthorized")
    assert_problem(await http.get(f"/prebookings/{SOME_ID}", headers=ana), 404, "not-found")
    assert_problem(await http.get("/no/such/page"), 404, "not-found")
    assert_problem(await http.put("/prebookings", headers=ana), 405, "method-not-allowed")
    assert_problem(await http.post("/prebookings", headers=ana, json=wish), 409, "prebooking-exists")
    assert_problem(await http.post("/prebookings", headers=json_headers, content=b" " * 17_000), 413, "too-large")
    assert_problem(await http.post("/prebookings", headers=ana, content=b"{}"), 415, "unsupported-media-type")
    assert_problem(await http.post("/prebookings", headers=ana, json={}), 422, "invalid-request")
    assert_problem(await deliver(world, EXECUTE, body_of(row["id"])), 503, "not-due")


async def test_each_route_says_when_the_database_is_unavailable(sweepless: World) -> None:
    """And comes back by itself when it is there again."""
    http, ana = sweepless.http, sweepless.speaking_for(ANA)
    sweepless.gateway.faults.set(Fault(kind="unavailable", times=None))
    at = {"available_at": SOON.isoformat()}
    answers = await asyncio.gather(
        http.get("/readyz"),
        http.post("/prebookings", headers=ana, json=sweepless.wish(SOON)),
        http.get("/prebookings", headers=ana),
        http.get(f"/prebookings/{SOME_ID}", headers=ana),
        http.patch(f"/prebookings/{SOME_ID}", headers=ana, json=at),
        http.delete(f"/prebookings/{SOME_ID}", headers=ana),
        http.post(f"/prebookings/{SOME_ID}/retry", headers=ana),
        deliver(sweepless, EXECUTE, body_of(SOME_ID)),
        deliver(sweepless, FAILED, callback_of(SOME_ID)),
        deliver(sweepless, SWEEP, b""),
    )

    for answer in answers:
        assert_problem(answer, 503, "database-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert (await http.get("/healthz")).status_code == 200
    sweepless.gateway.faults.set()
    assert (await http.get("/readyz")).status_code == 200


async def test_the_id_of_a_request_is_taken_or_made(world: World) -> None:
    async def answered_id(given: str | None) -> str:
        headers = {} if given is None else {"X-Request-Id": given}
        return str((await world.http.get("/healthz", headers=headers)).headers["x-request-id"])

    assert await answered_id("from-the-client_1") == "from-the-client_1"
    made = {await answered_id(given) for given in (None, "short", "x" * 65, "with space", 'quote"quote')}
    assert len(made) == 5
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in made)


async def test_an_error_of_ours_is_logged_under_the_id_that_it_tells(
    database: asyncpg.Connection, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = "https://app.example.com"
    async with open_world(database, *outside, frontend_origins=[origin]) as world:

        async def broken(_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(type(world.services.store), "check", broken)
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
            answer = await world.http.get("/readyz", headers={"Origin": origin})
    assert_problem(answer, 500, "internal-error")
    assert answer.headers["access-control-allow-origin"] == origin
    (line,) = [line for line in logged if line["event"] == "request_failed"]
    assert line["request_id"] == answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_page_of_a_known_origin_can_read_answers_and_errors(
    database: asyncpg.Connection, outside: Outside
) -> None:
    origin = "https://app.example.com"
    async with open_world(database, *outside, frontend_origins=[origin]) as world:
        for asking, allowed in ((origin, origin), ("https://evil.example.com", None)):
            error = await world.http.get("/prebookings", headers={"Origin": asking})
            assert error.status_code == 401
            assert error.headers.get("access-control-allow-origin") == allowed
            preflight = await world.http.options(
                "/prebookings/x",
                headers={
                    "Origin": asking,
                    "Access-Control-Request-Method": "PATCH",
                    "Access-Control-Request-Headers": "authorization,content-type",
                },
            )
            assert preflight.is_success == bool(allowed)
