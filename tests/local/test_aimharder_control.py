"""The switches over HTTP, on the stand-in as a process of its own."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest


@asynccontextmanager
async def process(port: int = 0) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "prebooking_local.aimharder", "--port", str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stdout is not None
    line = await running.stdout.readline()
    try:
        yield running, json.loads(line)["url"] if line else ""
    finally:
        await running.communicate(b"")  # the end of its input ends it


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    async with process() as (_, url):
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, verify=False) as client:
        await control(client, "reset", {})
        await control(client, "boxes", {"slug": "mygym", "boid": 7})
        yield client


async def control(client: httpx.AsyncClient, name: str, body: Any) -> Any:
    answer = await client.post(f"/_control/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read(client: httpx.AsyncClient, name: str) -> Any:
    return (await client.get(f"/_control/{name}")).json()


async def book(client: httpx.AsyncClient, member: dict[str, Any], class_id: int = 1) -> Any:
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in member["cookies"])
    form = {"id": class_id, "day": "20300117"}
    answer = await client.post("/mygym/api/book", data=form, headers={"Cookie": cookie})
    return answer.json()


def gym_class(**details: Any) -> dict[str, Any]:
    return {"box": "mygym", "id": 1, "day": "20300117", "opens_at": 0} | details


async def test_members_are_put_up_with_sessions_that_book(client: httpx.AsyncClient) -> None:
    people = [{"email": "ana@example.com", "family": [{"id": "3"}]}, {"email": "eva@example.com"}]
    members = (await control(client, "members", people))["members"]
    await control(client, "classes", [gym_class(), gym_class(id=2, time="10:00 - 11:00")])
    answers = [await book(client, member) for member in members]

    assert members[0].keys() == {"email", "id", "cookies", "token", "fingerprint"}
    assert [answer["bookState"] for answer in answers] == [1, 1]
    held = (await read(client, "bookings"))["bookings"]
    assert [(one["member"], one["class_id"], one["state"]) for one in held] == [
        ("ana@example.com", 1, 1),
        ("eva@example.com", 1, 1),
    ]


async def test_a_class_opens_on_the_wall_clock(client: httpx.AsyncClient) -> None:
    (ana,) = (await control(client, "members", {"email": "ana@example.com"}))["members"]
    opens_at = time.time_ns() + 150_000_000
    await control(client, "classes", gym_class(opens_at=opens_at))
    states = []
    async with asyncio.timeout(30):
        while 1 not in states:
            states.append((await book(client, ana))["bookState"])

    assert set(states) == {-12, 1}
    stamps = (await read(client, "stamps"))["stamps"]
    assert [stamp[:2] for stamp in stamps] == [["/api/book", "ana@example.com"]] * len(states)
    assert stamps[-2][2] < opens_at <= stamps[-1][2]


async def test_a_class_is_filled_replaced_and_removed_on_command(client: httpx.AsyncClient) -> None:
    (ana,) = (await control(client, "members", {"email": "ana@example.com"}))["members"]
    await control(client, "classes", gym_class())
    await control(client, "classes/fill", {"box": "mygym", "id": 1})
    full = await book(client, ana)
    await control(client, "classes/replace", {"box": "mygym", "id": 1, "new_id": 2})
    replaced = [(await book(client, ana, i)) for i in (1, 2)]
    await control(client, "classes/remove", {"box": "mygym", "id": 2})
    removed = await book(client, ana, 2)

    assert full["bookState"] == -1
    assert [replaced[0]["errorMssgLang"], replaced[1]["bookState"]] == ["ERROR_CLASE_NO_EXISTE", -1]
    assert removed["errorMssgLang"] == "ERROR_CLASE_NO_EXISTE"


async def test_a_class_that_is_recreated_may_keep_its_places(client: httpx.AsyncClient) -> None:
    (ana,) = (await control(client, "members", {"email": "ana@example.com"}))["members"]
    await control(client, "classes", gym_class())
    await book(client, ana)
    await control(client, "classes/replace", {"box": "mygym", "id": 1, "new_id": 2, "keeps_places": True})
    assert [one["class_id"] for one in (await read(client, "bookings"))["bookings"]] == [2]


async def test_a_class_may_be_listed_only_at_its_opening(client: httpx.AsyncClient) -> None:
    (ana,) = (await control(client, "members", {"email": "ana@example.com"}))["members"]
    opened = {"kind": "clock", "seconds": 3600, "times": 2}
    await control(
        client, "classes", gym_class(listed_at_opening=True, opens_at=f"{datetime.now(UTC) + timedelta(minutes=5)}")
    )
    asked = {"day": gym_class()["day"], "box": 7}
    before = (await client.get("/mygym/api/bookings", params=asked)).json()["bookings"], await book(client, ana)
    await control(client, "faults", opened)
    after = (await client.get("/mygym/api/bookings", params=asked)).json()["bookings"], await book(client, ana)
    assert (before[0], before[1]["errorMssgLang"]) == ([], "ERROR_CLASE_NO_EXISTE")
    assert (len(after[0]), after[1]["bookState"]) == (1, 1)


async def test_sessions_are_killed_opened_and_given_rules_on_command(client: httpx.AsyncClient) -> None:
    (ana,) = (await control(client, "members", {"email": "ana@example.com"}))["members"]
    await control(client, "classes", gym_class())
    killed = await control(client, "sessions/kill", {"member": "ana@example.com"})
    dead = await book(client, ana)
    (again,) = (await control(client, "sessions", {"member": "ana@example.com"}))["members"]
    await control(client, "sessions/rules", {"dead_whoami": "logout"})

    assert (killed, dead) == ({"ended": 1}, {"logout": 1})
    assert (await book(client, again))["bookState"] == 1
    assert (await client.get("/api/whoami")).json() == {"logout": 1}


async def test_faults_are_switched_on_listed_and_cleared(client: httpx.AsyncClient) -> None:
    numbers = (await control(client, "faults", [{"kind": "status", "status": 503}, {"kind": "empty"}]))["faults"]
    listed = (await read(client, "faults"))["faults"]
    spoilt = await client.get("/api/whoami")
    await client.delete(f"/_control/faults?id={numbers[0]}")
    next_one = await client.get("/api/whoami")
    await client.delete("/_control/faults")

    assert [listed[str(number)]["kind"] for number in numbers] == ["status", "empty"]
    assert (spoilt.status_code, next_one.content) == (503, b"")
    assert (await client.get("/api/whoami")).json() == {"data": []}


async def test_the_ledger_is_read_whole_and_without_the_controls(client: httpx.AsyncClient) -> None:
    await client.get("/api/whoami")
    requests = (await read(client, "ledger"))["requests"]

    assert [(one["method"], one["target"], one["status"]) for one in requests] == [("GET", "/api/whoami", 200)]


async def test_a_reset_leaves_nothing(client: httpx.AsyncClient) -> None:
    await control(client, "members", {"email": "ana@example.com"})
    await control(client, "faults", {"kind": "empty"})
    await client.get("/api/whoami")
    await control(client, "reset", {})

    assert (await read(client, "ledger"))["requests"] == []
    assert (await read(client, "faults"))["faults"] == {}
    assert (await client.get("/mygym/schedule")).status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("boxes", {"slug": "../x", "boid": 1}, 422),
        ("boxes", {"slug": "x", "boid": 1, "unknown": 1}, 422),
        ("classes", gym_class(day="20301399"), 422),
        ("classes", gym_class(opens_at="2030-01-17T08:00:00"), 422),
        ("classes", gym_class(box="nowhere"), 404),
        ("classes/fill", {"box": "mygym", "id": 99}, 404),
        ("sessions", {"member": "nobody@example.com"}, 404),
        ("faults", {"kind": "sunshine"}, 422),
        ("faults", {"kind": "status", "status": 999}, 422),
        ("nothing", {}, 404),
    ],
)
async def test_a_wrong_switch_says_what_is_wrong(client: httpx.AsyncClient, name: str, body: Any, status: int) -> None:
    answer = await client.post(f"/_control/{name}", json=body)

    assert (answer.status_code, answer.json().keys()) == (status, {"error"})


async def test_a_process_ends_with_its_signal_and_says_when_its_port_is_taken() -> None:
    async with process() as (running, url):
        async with process(int(url.rpartition(":")[2])) as (second, _):
            assert second.stderr is not None
            complaint = await second.stderr.read()
        running.terminate()

    assert running.returncode == 0
    assert second.returncode == 1
    assert b"is taken" in complaint
