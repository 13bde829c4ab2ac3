"""A calendar program reads a user's prebookings by a secret address, which is nobody else's and in no log."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs
from tests.support.captured_logs import logged
from tests.support.icalendar_rules import Event, read_calendar
from tests.support.world import World
from tests.web.test_email_owners import release, token

from prebooking.adapters.supabase.store import SupabaseStore
from prebooking_local.supabase import Fault

ANA, BO = "ana@example.com", "bo@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
WRONG = "0" * 40


async def subscribe(world: World, email: str = ANA) -> str:
    """The path of a new address."""
    answer = await world.http.post("/calendar", headers=world.speaking_for(email))
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["url"]
    assert url.startswith(f"{world.url}/calendar/")
    return url.removeprefix(world.url)


async def events(world: World, path: str) -> dict[str, Event]:
    answer = await world.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-store"
    return read_calendar(answer.content)


def secret_of(path: str) -> str:
    return path.removeprefix("/calendar/").removesuffix(".ics")


async def test_a_prebookings_whole_life_is_one_event(sweepless: World) -> None:
    path = await subscribe(sweepless)
    assert await events(sweepless, path) == {}
    starts = datetime.now(UTC).replace(microsecond=0) + timedelta(days=4)
    row = await sweepless.prebook(ANA, SOON, activityName="Fuerza; ñ, 💪", classTimeUTC=starts.isoformat())
    waiting = (await events(sweepless, path))[row["id"]]
    assert (waiting["STATUS"], waiting["SUMMARY"]) == ("TENTATIVE", "Fuerza; ñ, 💪")
    assert (waiting["DTSTART"], waiting["DTEND"] - waiting["DTSTART"]) == (starts, timedelta(hours=1))
    assert f"opens on {SOON:%Y-%m-%d %H:%M:%S} (UTC)" in waiting["DESCRIPTION"]

    await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    [(uid, cancelled)] = (await events(sweepless, path)).items()
    assert (uid, cancelled["STATUS"]) == (row["id"], "CANCELLED")
    assert cancelled["LAST-MODIFIED"] >= waiting["LAST-MODIFIED"]


async def test_what_is_booked_is_confirmed_and_what_has_failed_is_gone(world: World) -> None:
    await world.member(ANA)
    path = await subscribe(world)
    booked = await world.prebook(ANA, world.open_class())
    failed = await world.prebook(ANA, world.open_class(class_id=502, capacity=0), class_id=502)
    for row in (booked, failed):
        await world.finished(ANA, row["id"])
    told = {uid: event["STATUS"] for uid, event in (await events(world, path)).items()}
    assert told == {booked["id"]: "CONFIRMED"}


async def test_a_booked_class_is_as_long_as_the_gyms_listing_says(world: World) -> None:
    await world.member(ANA)
    path = await subscribe(world)
    opens_at = world.open_class(time="08:00 - 09:30")
    starts = (opens_at + timedelta(days=4)).replace(hour=8, minute=0, second=0, microsecond=0)
    row = await world.prebook(ANA, opens_at, classTimeUTC=starts.isoformat())
    assert (await world.finished(ANA, row["id"]))["result"]["class_minutes"] == 90
    event = (await events(world, path))[row["id"]]
    assert (event["DTSTART"], event["DTEND"]) == (starts, starts + timedelta(minutes=90))


async def test_a_new_address_ends_the_old_and_so_does_removing_it(sweepless: World) -> None:
    old, new = await subscribe(sweepless), await subscribe(sweepless)
    assert (await sweepless.http.get(old)).status_code == 404
    assert (await sweepless.http.get(new)).status_code == 200
    for _ in range(2):
        assert (await sweepless.http.delete("/calendar", headers=sweepless.speaking_for(ANA))).status_code == 204
    gone = await sweepless.http.get(new)
    assert (gone.status_code, gone.json()["code"]) == (404, "not-found")


async def test_an_address_is_for_its_users_rows_and_for_nothing_else(sweepless: World) -> None:
    anas, bos = await subscribe(sweepless), await subscribe(sweepless, BO)
    mine, theirs = await sweepless.prebook(ANA, SOON), await sweepless.prebook(BO, SOON)
    assert [*(await events(sweepless, anas))] == [mine["id"]]
    assert [*(await events(sweepless, bos))] == [theirs["id"]]
    secret = {"Authorization": f"Bearer {secret_of(anas)}"}
    for method, path in (("GET", "/prebookings"), ("POST", "/calendar"), ("DELETE", "/calendar")):
        assert (await sweepless.http.request(method, path, headers=secret)).status_code == 401
        assert (await sweepless.http.request(method, path)).status_code == 401
    await sweepless.http.delete("/calendar", headers=sweepless.speaking_for(BO))
    assert (await sweepless.http.get(anas)).status_code == 200
    # Whoever asks, and however they are signed in.
    assert [*read_calendar((await sweepless.http.get(anas, headers=sweepless.speaking_for(BO))).content)] == [
        mine["id"]
    ]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await sweepless.http.request(method, anas)).status_code == 405


async def test_another_account_with_the_e_mail_neither_makes_nor_ends_a_calendar(sweepless: World) -> None:
    first, second = str(uuid4()), str(uuid4())
    made = await sweepless.http.post("/calendar", headers=token(sweepless, first))
    path = made.json()["url"].removeprefix(sweepless.url)
    for method in ("POST", "DELETE"):
        refused = await sweepless.http.request(method, "/calendar", headers=token(sweepless, second))
        assert (refused.status_code, refused.json()["code"]) == (403, "email-taken")
    assert (await sweepless.http.get(path)).status_code == 200


async def test_a_released_account_has_no_calendar_and_makes_none(sweepless: World) -> None:
    """Also in a replica that takes it for the owner for some seconds more."""
    headers = token(sweepless, str(uuid4()))
    made = await sweepless.http.post("/calendar", headers=headers)
    await release(sweepless)
    assert (await sweepless.http.get(made.json()["url"])).status_code == 404
    refused = await sweepless.http.post("/calendar", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "email-taken")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x.ics",
            ".ics",
            f"{WRONG}0.ics",
            f"{WRONG[1:]}.ics",
            f"{'A' * 40}.ics",
            f"{WRONG}%0A.ics",
            f"{WRONG}.ics.ics",
        ),
        *(f"{WRONG}", f"%2e%2e%2f{WRONG}.ics", f"{WRONG}'--.ics", "%00.ics", f"{'x' * 2000}.ics", "", f"{WRONG}.ICS"),
    ],
)
async def test_a_secret_of_another_form_is_refused_without_the_database(
    sweepless: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[str] = []

    async def reads(_: SupabaseStore, secret_hash: str) -> None:
        asked.append(secret_hash)

    monkeypatch.setattr(SupabaseStore, "read_calendar", reads)
    answer = await sweepless.http.get(f"/calendar/{name}")
    assert (answer.status_code, answer.json()["code"], asked) == (404, "not-found", [])
    assert (await sweepless.http.get(f"/calendar/{WRONG}.ics")).status_code == 404
    assert len(asked) == 1


async def test_a_calendar_is_read_so_often_in_a_minute(sweepless: World) -> None:
    path, other = await subscribe(sweepless), await subscribe(sweepless, BO)
    for _ in range(12):
        await events(sweepless, path)
    refused = await sweepless.http.get(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert await events(sweepless, other) == {}


async def test_a_calendar_has_its_newest_five_hundred_rows(sweepless: World, database: asyncpg.Connection) -> None:
    path = await subscribe(sweepless)
    await database.execute(
        "insert into public.prebookings (user_email, booking_data, available_at, status, created_at)"
        " select $1, jsonb_build_object('day', '20991231', 'id', n::text, 'activityName', repeat('ñ', 5000)), now(),"
        " 'completed', now() - n * interval '1 minute' from generate_series(0, 600) n",
        ANA,
    )
    answer = await sweepless.http.get(path)
    assert len(read_calendar(answer.content)) == 500
    assert len(answer.content) < 500_000


@pytest.mark.parametrize("kind", ["lose_answer", "drop", "unavailable"])
async def test_a_lost_call_is_repeated(sweepless: World, kind: Any) -> None:
    sweepless.gateway.faults.set(Fault(function="make_calendar", kind=kind))
    path = await subscribe(sweepless)
    sweepless.gateway.faults.set(Fault(function="read_calendar", kind=kind))
    assert await events(sweepless, path) == {}
    sweepless.gateway.faults.set(Fault(function="end_calendar", kind=kind))
    assert (await sweepless.http.delete("/calendar", headers=sweepless.speaking_for(ANA))).status_code == 204
    assert (await sweepless.http.get(path)).status_code == 404


async def test_without_a_database_programs_are_told_to_come_again(sweepless: World) -> None:
    path = await subscribe(sweepless)
    sweepless.gateway.faults.set(Fault(function="read_calendar", kind="unavailable", times=None))
    with capture_logs() as told:
        answer = await sweepless.http.get(path)
    sweepless.gateway.faults.set()
    assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
    assert "database_unavailable" in {line["event"] for line in told}


async def test_the_secret_is_in_no_log_and_in_no_row(
    sweepless: World, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError(f"GET {path}")

    with logged([]) as log:
        path = await subscribe(sweepless)
        await events(sweepless, path)
        sweepless.gateway.faults.set(Fault(function="read_calendar", kind="unavailable", times=None))
        assert (await sweepless.http.get(path)).status_code == 503
        sweepless.gateway.faults.set()
        monkeypatch.setattr(SupabaseStore, "read_calendar", broken)
        assert (await sweepless.http.get(path)).status_code == 500
        logging.getLogger("a.proxy").warning("upstream failed: %s", httpx.URL(sweepless.url + path))
    assert "database_unavailable" in log.getvalue()
    assert "/calendar/[redacted]" in log.getvalue()
    assert secret_of(path) not in log.getvalue()
    [(row,)] = await database.fetch("select row_to_json(c)::text from prebooking.calendars c")
    assert secret_of(path) not in row


def test_the_secret_is_not_in_the_access_log_of_uvicorns_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a handler of its own, which the service's log does not see."""
    access, records = logging.getLogger("uvicorn.access"), list[str]()
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: records.append(record.getMessage()))
    monkeypatch.setattr(access, "handlers", [handler])
    with logged([], "INFO"):
        for secret in (WRONG, "of-another-form"):
            line = ("127.0.0.1:5", "GET", f"/base/calendar/{secret}.ics?x=1", "1.1", 200)
            access.handle(access.makeRecord(access.name, logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', line, None))
    assert records == ['127.0.0.1:5 - "GET /base/calendar/[redacted]?x=1 HTTP/1.1" 200'] * 2
