"""Gyms of aimharder.com and of aimharder.es: each is asked at its own domain, with that domain's cookies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.executions import ANA, BOOK, ENTRANCE, LISTING, WHOAMI, deliver, ran
from tests.support.world import Outside, World, open_world
from tests.web.signing_in import ACCOUNT, PASSWORD, RIGHT, enrol, post

from prebooking.adapters.aimharder.c_ares import Found
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking_local.aimharder import Box

ES, COM = "aimharder.es", "aimharder.com"
PLAYA = Box(slug="playa", boid=8, domain="aimharder.es", name="Playa")
CLASS = 601


async def here(_: str) -> Found:
    return Found(("127.0.0.1",), 10.0)


@pytest.fixture
async def both(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """The service with AimHarder's own host names, which all lead to the local gym; `playa` is under .es."""
    async with under_both(database, outside) as world:
        yield world


@asynccontextmanager
async def under_both(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    port = httpx.URL(outside[2].url).port
    async with open_world(
        database,
        *outside,
        resolver=Resolver(here, allowed=lambda one: one.is_loopback),
        aimharder_box_url=f"http://{{box}}.aimharder.com:{port}",
        aimharder_account_url=f"http://aimharder.com:{port}",
        aimharder_login_url=f"http://login.aimharder.com:{port}",
        sweep_interval_seconds=3600,
    ) as world:
        world.gym.gym.put_box(PLAYA)
        yield world


def wish(world: World, **more: Any) -> dict[str, Any]:
    opens_at = world.open_class(box=PLAYA.slug, class_id=CLASS)
    body = world.wish(opens_at, class_id=CLASS) | {"box_subdomain": PLAYA.slug, "box_aimharder_id": PLAYA.boid}
    return body | more


async def create(world: World, **more: Any) -> dict[str, Any]:
    answer = await world.http.post("/prebookings", headers=world.speaking_for(ANA), json=wish(world, **more))
    assert answer.is_success, answer.text
    row: dict[str, Any] = answer.json()
    return row


async def domain_of(world: World, row: dict[str, Any]) -> str | None:
    """As the database has it; clients are not shown it."""
    found: str | None = await world.database.fetchval(
        "select box_domain from public.prebookings where id = $1", row["id"]
    )
    return found


def sent(world: World, path: str) -> list[tuple[str, str]]:
    """Host and session cookie of the requests to this path."""
    requests = [entry.request for entry in world.gym.ledger.of(path)]
    return [(one.headers["host"].partition(":")[0], one.cookies.get("amhrdrauth", "")) for one in requests]


@pytest.mark.parametrize("named", [{}, {"box_domain": ES}], ids=["as the session knows", "named"])
async def test_a_gym_under_es_is_booked_by_who_signed_in_with_the_cookies_of_es(
    both: World, named: dict[str, str]
) -> None:
    enrol(both)
    answer = await post(both, RIGHT)
    assert {box["subdomain"]: box.get("domain", COM) for box in answer.json()["boxes"]} == {"mygym": COM, "playa": ES}
    row = await create(both, **named)
    assert await domain_of(both, row) == ES
    _, row = await ran(both, row)
    assert row["result"]["outcome"] == "booked", row
    assert {host for host, _ in sent(both, BOOK)} == {"playa.aimharder.es"}
    for path in (BOOK, LISTING, WHOAMI, ENTRANCE):
        for host, cookie in sent(both, path):
            assert not cookie or cookie.endswith(".es") == host.endswith(ES), (path, host)


async def test_who_has_gyms_under_both_is_booked_at_both(both: World) -> None:
    enrol(both)
    await post(both, RIGHT)
    _, es = await ran(both, await create(both))
    _, com = await ran(both, await both.prebook(ANA, both.open_class(time="18:00 - 19:00")))
    assert [es["result"]["outcome"], com["result"]["outcome"]] == ["booked", "booked"]
    assert await domain_of(both, com) is None


async def test_whose_gyms_are_all_under_es_has_an_account_there(both: World) -> None:
    del both.gym.gym.boxes["mygym"]
    enrol(both)
    assert (await post(both, RIGHT)).status_code == httpx.codes.OK
    both.gym.ledger.entries.clear()
    found = await both.http.get("/session", headers=both.speaking_for(ANA))
    assert found.json()["alive"] is True
    assert {host for host, _ in sent(both, WHOAMI)} == {ES}


async def test_a_session_pasted_from_es_is_found_alive_there(both: World) -> None:
    enrol(both)
    session = both.gym.accounts.log_in(ACCOUNT, PASSWORD, "browser", both.gym.site.clock())
    assert not isinstance(session, str)
    pasted = {
        "cookies": [{"name": "amhrdrauth", "value": session.auth + ".es"}],
        "token": session.token,
        "fingerprint": "browser",
    }
    answer = await both.http.put("/session", headers=both.speaking_for(ANA), json=pasted)
    assert answer.status_code == httpx.codes.OK, answer.text
    _, row = await ran(both, await create(both))
    assert row["result"]["outcome"] == "booked"


async def test_a_session_of_es_is_refreshed_there(both: World) -> None:
    del both.gym.gym.boxes["mygym"]
    enrol(both)
    await post(both, RIGHT)
    row = await create(both)
    session = both.gym.accounts.sessions(ACCOUNT)[0]
    both.gym.accounts.refresh(session, session.token, both.gym.site.clock())  # so the stored cookies are dead
    both.gym.ledger.entries.clear()
    await ran(both, row)
    assert {host for host, _ in sent(both, "/api/tokenUpdate")} == {ES}


async def test_a_gym_that_has_moved_to_es_is_told_by_name(both: World) -> None:
    await both.member(ANA)
    _, row = await ran(both, await create(both, box_domain=COM))
    while row["status"] == "pending":
        await both.database.execute("update public.prebookings set retry_at = now() where id = $1", row["id"])
        await deliver(both, row["id"])
        row = await both.read(ANA, row["id"])
    assert row["error_code"] == "box_unknown"
    assert row["error_message"].endswith("(playa: HTTP 301 to playa.aimharder.es)")


async def test_what_get_boxes_says_of_domains_is_kept_with_the_session(both: World) -> None:
    await both.member(ANA)
    assert await domain_of(both, await create(both)) is None
    await both.http.get("/boxes", headers=both.speaking_for(ANA))
    other = await create(both, booking_data={"day": "20301128", "id": 602})
    assert await domain_of(both, other) == ES


async def test_another_domain_is_refused(both: World) -> None:
    answer = await both.http.post(
        "/prebookings", headers=both.speaking_for(ANA), json=wish(both, box_domain="aimharder.fr")
    )
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.json()["errors"] == [{"field": "box_domain", "message": "must be aimharder.com or aimharder.es"}]


async def test_a_place_under_es_is_given_back_by_who_signed_in_at_com(both: World) -> None:
    enrol(both)
    await post(both, RIGHT)
    _, row = await ran(both, await create(both))
    await both.database.execute("update public.prebookings set executed_at = executed_at - interval '1 day'")
    answer = await both.http.delete(f"/prebookings/{row['id']}/booking", headers=both.speaking_for(ANA))
    assert answer.status_code == httpx.codes.OK, answer.text
    assert both.bookings(ACCOUNT) == 0
