"""`prebooking doctor` names what is wrong and how to mend it, and finds nothing wrong where nothing is."""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from tests.operating.examined_service import ExaminedService
from tests.operating.misconfigurations import REFUSED
from tests.support.executions import ANA
from tests.support.webhook_receiver import receiver
from tests.support.world import Outside, open_world

from prebooking.operator.findings import State
from prebooking.operator.report import read_or_report, show
from prebooking_local.serving import serve_asgi
from prebooking_local.supabase import Gateway

NOWHERE = "http://127.0.0.1:1"  # nobody listens there
SOON = timedelta(hours=5)
Another = tuple[asyncpg.Connection, Gateway]


@asynccontextmanager
async def somebody_else(status: int, text: str = "") -> AsyncIterator[str]:
    """Another server where the service should be."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()
        response: Response = PlainTextResponse(text, status)
        await response(scope, receive, send)

    app = Starlette()
    app.mount("/", answer)
    async with serve_asgi(app, host="127.0.0.1", port=0) as url:
        yield url


async def migrated_away(another: Another, statement: str) -> Gateway:
    connection, gateway = another
    await connection.execute(statement)
    await connection.execute("notify pgrst, 'reload schema'")
    return gateway


# ---- nothing wrong -----------------------------------------------------------------------------------------------


async def test_a_good_stack_is_healthy(examined: ExaminedService) -> None:
    world = examined.world
    row = await world.prebook(ANA, world.open_class())
    await world.finished(ANA, row["id"])
    await world.prebook(ANA, world.open_class(3600, class_id=2), id=2)
    findings = await examined.findings()
    assert [one for one in findings if one.state is State.BAD] == []
    assert {one.subject for one in findings} == {
        *(
            "Settings",
            "Database",
            "Users",
            "QStash",
            "PUBLIC_URL",
            "AimHarder",
            "Clocks",
            "Prebookings",
            "Notices",
            "Migration",
        )
    }


@pytest.mark.parametrize("settings", [{"sweep_seconds": 0}, {"notify": True}, {"keys": True}])
async def test_a_good_stack_of_another_kind_is_healthy_too(examined: ExaminedService, settings: dict[str, Any]) -> None:
    """One that sleeps, one that tells its users, one that encrypts."""
    if "sweep_seconds" in settings:
        await examined.world.services.scheduler.schedule_sweep(2)
        assert await examined.wrong(**settings) == {}
    elif "notify" in settings:
        async with receiver() as webhook:
            assert await examined.wrong(**webhook.settings) == {}
    else:
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        assert await examined.wrong(session_encryption_keys=[key]) == {}


# ---- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str) -> None:
    complete = {
        "SUPABASE_URL": "https://project.supabase.co",
        "SUPABASE_SECRET_KEY": "sb_secret_of_the_project",
        "QSTASH_TOKEN": "token",
        "QSTASH_CURRENT_SIGNING_KEY": "sig_current_0123456789abc",
        "QSTASH_NEXT_SIGNING_KEY": "sig_next_0123456789abc",
        "PUBLIC_URL": "https://prebooking.example.com",
    }
    environment, told = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    for variable, value in (complete | dict(environment)).items():
        monkeypatch.setenv(variable, value)
    read = read_or_report()
    assert isinstance(read, list)
    assert [(one.state, bool(one.fix)) for one in read] == [(State.BAD, True)]
    assert told in f"{read[0].message}: {read[0].fix}"


# ---- the database ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "check", "fix"),
    [
        ({"supabase_url": NOWHERE}, "database", "SUPABASE_URL"),
        ({"SUPABASE_SECRET_KEY": "sb_secret_of_another_project"}, "key", "secret key of the project"),
    ],
)
async def test_a_database_that_does_not_answer_us(
    examined: ExaminedService, changed: dict[str, str], check: str, fix: str
) -> None:
    wrong = await examined.wrong(**changed)
    assert set(wrong) == {check}
    assert fix in wrong[check].fix


async def test_the_publishable_key_in_place_of_the_secret_one(examined: ExaminedService) -> None:
    wrong = await examined.wrong(SUPABASE_SECRET_KEY=examined.world.gateway.publishable_key)
    assert set(wrong) == {"key"}
    assert "not the publishable one" in wrong["key"].fix


@pytest.mark.parametrize(
    ("statement", "check", "fix"),
    [
        ("drop function public.inspect_service", "migrations", "prebooking migrate"),
        ("delete from prebooking.migrations where name like 'functions/80%'", "migrations", "prebooking migrate"),
        ("update prebooking.migrations set checksum = 'x' where name like '%/0001%'", "migrations", "release"),
        ("update prebooking.migrations set checksum = 'x' where name like '%/40%'", "migrations", "prebooking migrate"),
        ("drop function public.begin_booking", "functions", "restore"),
        ("grant execute on function public.cancel_prebooking to anon", "grants", "revoke execute"),
        ("revoke execute on function public.claim_prebooking from service_role", "grants", "grant execute"),
        ("alter table public.auth_sessions disable row level security", "tables", "row level security"),
        ("grant insert on public.prebookings to authenticated", "tables", "revoke"),
    ],
)
async def test_a_database_that_is_not_as_it_should_be(
    examined: ExaminedService, another: Another, statement: str, check: str, fix: str
) -> None:
    gateway = await migrated_away(another, statement)
    wrong = await examined.wrong(supabase_url=gateway.url, SUPABASE_SECRET_KEY=gateway.secret_key, within_s=0.3)
    assert set(wrong) == {check}
    assert fix in wrong[check].fix


async def test_sessions_that_nobody_can_read_here(examined: ExaminedService) -> None:
    await examined.world.database.execute("update public.auth_sessions set aimharder_token = 'enc:v1:0123abcd:AAAA'")
    wrong = await examined.wrong()
    assert set(wrong) == {"session-keys"}
    assert "0123abcd" in wrong["session-keys"].message


# ---- QStash ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "check", "fix"),
    [
        ({"qstash_url": NOWHERE}, "reachable", "QSTASH_URL"),
        ({"qstash_token": "of-another-region"}, "token", "each region"),
        ({"qstash_current_signing_key": "x" * 32, "qstash_next_signing_key": "y" * 32}, "signing-keys", "region"),
    ],
)
async def test_another_account(examined: ExaminedService, changed: dict[str, str], check: str, fix: str) -> None:
    wrong = await examined.wrong(**changed)
    assert set(wrong) == {check}
    assert fix in wrong[check].fix


async def test_keys_that_were_rolled_once(examined: ExaminedService) -> None:
    keys = examined.settings()
    wrong = await examined.wrong(
        qstash_current_signing_key="x" * 32,
        qstash_next_signing_key=keys.qstash_current_signing_key.get_secret_value(),
    )
    assert "before you roll again" in wrong["signing-keys"].fix


async def test_a_host_that_sleeps_without_a_schedule(examined: ExaminedService) -> None:
    await examined.forget_schedule()
    wrong = await examined.wrong(sweep_seconds=0)
    assert set(wrong) == {"schedule"}
    assert "schedule-sweep" in wrong["schedule"].fix


async def test_a_schedule_that_calls_another_host_or_is_paused(examined: ExaminedService) -> None:
    await examined.world.services.scheduler.schedule_sweep(2)
    client = examined.world.services.scheduler._messages._client  # type: ignore[attr-defined]
    await client.schedule.pause("prebooking-sweep")
    assert "paused" in (await examined.wrong(sweep_seconds=0))["schedule"].message
    await client.schedule.create(
        destination=f"{NOWHERE}/qstash/sweep", cron="*/2 * * * *", schedule_id="prebooking-sweep"
    )
    assert NOWHERE in (await examined.wrong(sweep_seconds=0))["schedule"].message
    await examined.forget_schedule()


async def test_dead_letters(examined: ExaminedService) -> None:
    examined.world.qstash.qstash.faults.change({"signing_key": {"value": "x" * 32, "next": 1}})
    client = examined.world.services.scheduler._messages._client  # type: ignore[attr-defined]
    await client.message.publish_json(url=f"{examined.world.url}/qstash/prebooking-execute", body={}, retries=0)
    letters = examined.world.qstash.qstash.broker.dead_letters
    while not letters.newest_first():
        await asyncio.sleep(0.01)
    wrong = await examined.wrong()
    assert set(wrong) == {"dead-letters"}
    assert "HTTP 401" in wrong["dead-letters"].message
    assert "prebooking dlq" in wrong["dead-letters"].fix


# ---- the way from outside ----------------------------------------------------------------------------------------


async def test_nobody_at_the_public_url(examined: ExaminedService) -> None:
    wrong = await examined.wrong(public_url=NOWHERE)
    assert set(wrong) == {"reach"}
    assert "no response" in wrong["reach"].message


@pytest.mark.parametrize(("status", "told"), [(404, "another server responds"), (502, "HTTP 502")])
async def test_somebody_else_at_the_public_url(examined: ExaminedService, status: int, told: str) -> None:
    async with somebody_else(status, "bad gateway") as url:
        wrong = await examined.wrong(public_url=url)
    assert set(wrong) == {"reach"}
    assert told in wrong["reach"].message


async def test_a_service_that_has_another_public_url(database: asyncpg.Connection, outside: Outside) -> None:
    async with open_world(database, *outside, public_url="https://another.example.com") as world:
        await world.member(ANA)
        wrong = await ExaminedService(world).wrong()
    assert set(wrong) == {"reach"}
    assert "PUBLIC_URL=" in wrong["reach"].fix


async def test_a_service_with_another_database_is_noted(examined: ExaminedService, another: Another) -> None:
    _, gateway = another
    changed = {"supabase_url": gateway.url, "SUPABASE_SECRET_KEY": gateway.secret_key}
    findings = await examined.findings(**changed, within_s=0.5)
    (reach,) = [one for one in findings if one.check == "reach"]
    assert (reach.state, "compare SUPABASE_URL" in reach.fix) == (State.NOTE, True)


# ---- the rest ----------------------------------------------------------------------------------------------------


async def test_an_aimharder_that_is_not_there(examined: ExaminedService) -> None:
    wrong = await examined.wrong(aimharder_account_url=NOWHERE)
    assert set(wrong) == {"aimharder"}
    assert "AIMHARDER_PROXY" in wrong["aimharder"].fix


async def test_an_aimharder_that_blocks_us(examined: ExaminedService) -> None:
    async with somebody_else(403) as url:
        assert "proxy in the gym's country" in (await examined.wrong(aimharder_account_url=url))["aimharder"].fix


@pytest.mark.parametrize(("booked", "state"), [(None, State.NOTE), ("aimharder.es", State.BAD)])
async def test_the_account_hosts_of_both_domains_are_asked(
    examined: ExaminedService, booked: str | None, state: State
) -> None:
    """They are reached through a proxy, which answers for both: .es has a bad day."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        spanish = Request(scope).headers["host"].endswith(".es")
        said: Response = Response("busy", 503) if spanish else JSONResponse({"data": []})
        await said(scope, receive, send)

    await examined.world.member("ana@example.com")
    row = await examined.world.prebook("ana@example.com", examined.world.open_class(3600))
    await examined.world.database.execute(
        "update public.prebookings set box_domain = $1 where id = $2", booked, row["id"]
    )
    app = Starlette()
    app.mount("/", answer)
    async with serve_asgi(app, host="127.0.0.1", port=0) as proxy:
        findings = await examined.findings(aimharder_account_url="http://aimharder.com", aimharder_proxy=proxy)
    account = {one.message: one.state for one in findings if one.check == "aimharder"}
    assert account["responds at http://aimharder.com"] is State.GOOD
    ((message, found),) = [item for item in account.items() if "http://aimharder.es" in item[0]]
    assert found is state
    assert "503" in message


async def test_a_clock_that_is_wrong(examined: ExaminedService, monkeypatch: pytest.MonkeyPatch) -> None:

    behind = SimpleNamespace(time=lambda: time.time() - 7, monotonic=time.monotonic)
    monkeypatch.setattr("prebooking.operator.inspection.time", behind)
    wrong = await examined.wrong()
    assert "database-clock" in wrong
    assert "7.0 s behind" in wrong["database-clock"].message
    assert "NTP" in wrong["database-clock"].fix


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ("available_at = now() - interval '5 minutes', armed_at = now() - interval '1 hour'", "stuck"),
        (
            "status = 'executing', claim_token = gen_random_uuid(), lease_until = now() - interval '5 minutes'",
            "stuck",
        ),
        ("scheduled_version = null, armed_at = now() - interval '1 hour'", "without-message"),
    ],
)
async def test_rows_that_no_sweep_has_taken_up(
    database: asyncpg.Connection, outside: Outside, values: str, check: str
) -> None:
    async with open_world(database, *outside, sweep_seconds=0) as world:
        await world.member(ANA)
        await world.services.scheduler.schedule_sweep(30)
        await world.prebook(ANA, datetime.now(UTC) + SOON)
        await database.execute(f"update public.prebookings set {values}")
        wrong = await ExaminedService(world).wrong(sweep_seconds=0)
        await ExaminedService(world).forget_schedule()
    assert set(wrong) == {check}
    assert "sweep" in wrong[check].fix


async def test_notices_that_nobody_takes(examined: ExaminedService) -> None:
    await examined.world.database.execute(
        "insert into prebooking.notices (key, kind, prebooking, created_at, try_after, failure)"
        " values ('1', 'booked', '{}', now() - interval '1 hour', now() + interval '1 hour',"
        " 'QStash gave up: HTTP 500')"
    )
    async with receiver() as webhook:
        wrong = await examined.wrong(**webhook.settings)
    assert set(wrong) == {"notices"}
    assert "HTTP 500" in wrong["notices"].message


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ("status = 'loaded'", "step 1 of 3"),
        ("""status = 'completed', result = '{"success": true}', executed_at = now()""", "step 1 of 3"),
        ("wish_key = null", "step 2 of 3"),
        ("created_at = created_at", "done"),
    ],
)
async def test_it_says_how_far_the_move_from_the_cron_is(examined: ExaminedService, values: str, step: str) -> None:
    await examined.world.prebook(ANA, datetime.now(UTC) + SOON)
    await examined.world.database.execute(f"update public.prebookings set {values}")
    (found,) = [one for one in await examined.findings() if one.check == "step"]
    assert found.message.startswith(step)


async def test_no_secret_is_told(examined: ExaminedService) -> None:
    console = Console(record=True, width=100)
    settings = examined.settings()
    for findings in (await examined.findings(), await examined.findings(qstash_token="of-another-region")):
        show(findings, console)
    told = console.export_text()
    for secret in (settings.qstash_token, settings.supabase_secret_key, settings.qstash_current_signing_key):
        assert secret.get_secret_value() not in told
    assert "Healthy." in told
    assert "One problem to fix." in told
