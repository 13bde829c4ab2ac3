"""What comes in is read strictly: each wrong field is named, and nothing gets as far as breaking something."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from tests.support.world import World

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
LONGEST = 16 * 1024

FULL_WIDTH_2026 = "\uff12\uff10\uff12\uff16"  # digits to Python and to Unicode, none to Postgres and the box

WRONG: dict[str, tuple[Any, ...]] = {
    "box_subdomain": ("", "a.b", "a/b", "-a", "a-", "gym\n", "gym\0", "x" * 64, 7, None),
    "box_aimharder_id": (
        *("", None, {}, True, "7&x=1", "\0", "mygym", "7a", "-7", -7, "7.5", "\uff17", "7\n"),
        *("9" * 19, 10**18),
    ),
    "booking_data": (None, [], "x", 5),
    "available_at": (
        *(None, True, 1_700_000_000, "", "now", "1700000000", "2026-11-22", "2026-11-22T07:00:00", "infinity"),
        *("2026-11-22T07:00:00+99:00", "2026-13-22T07:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T07:00:00Z\0"),
        *("2026-11-22T07:00:61Z", "2026-11-22T07:60:00Z", "2026-11-22T07:00:00+01:60", "9999-12-31T23:59:60Z"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", FULL_WIDTH_2026 + "-11-22T07:00:00Z"),
    ),
}
WRONG_DATA: dict[str, tuple[Any, ...]] = {
    "day": ("20261301", "2026-11-22", FULL_WIDTH_2026 + "1122", "00010101", "99991231", 20261122, None),
    "id": ("", " ", "a b", "a\0", "\ud800", "é", 5.5, True, None, [1], 10**100, "x" * 65),
    "familyId": ("a b", 5.5, True, [1], "\0"),
    "insist": (2, -1, "1", None, []),
    "classTimeUTC": ("2026-11-22T07:00:00", "", "1700000000", 1_700_000_000),
    "activityName": ("WOD\0", "\ud800", "x" * 201, 5),
    "boxName": ("\0",),
}


async def send(world: World, content: bytes, path: str = "/prebookings", **headers: str) -> tuple[int, dict[str, Any]]:
    said = {"Content-Type": "application/json"} | world.speaking_for(ANA) | headers
    answer = await world.http.post(path, headers=said, content=content)
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


async def test_a_wrong_field_is_named_and_nothing_is_written(world: World, subtests: pytest.Subtests) -> None:
    wish = world.wish(SOON)
    bodies = [(name, wish | {name: value}) for name, values in WRONG.items() for value in values]
    bodies += [
        (f"booking_data.{name}", wish | {"booking_data": wish["booking_data"] | {name: value}})
        for name, values in WRONG_DATA.items()
        for value in values
    ]
    for field, body in bodies:
        with subtests.test(field=field, body=body):
            status, answer = await send(world, json.dumps(body).encode())
            assert (status, answer["code"]) == (422, "invalid-request")
            assert [error["field"] for error in answer["errors"]] == [field]
            assert answer["errors"][0]["message"] in answer["detail"]
    assert await world.database.fetchval("select count(*) from public.prebookings") == 0


async def test_another_spelling_of_a_field_is_refused_and_an_unknown_field_ignored(
    world: World, subtests: pytest.Subtests
) -> None:
    """Else a prebooking for a child would be one for the member, and a retry would keep its opening."""
    wish = world.wish(SOON)
    data = wish["booking_data"]
    for path, body, meant in (
        (
            "/prebookings",
            wish | {"booking_data": data | {"family_id": "5"}},
            "family_id is not a field: write familyId",
        ),
        ("/prebookings", wish | {"BoxDomain": "es"}, "BoxDomain is not a field: write box_domain"),
        ("/series", {"familyId": "5"}, "familyId is not a field: write family_id"),
        (f"/prebookings/{uuid4()}/retry", {"availableAt": SOON.isoformat()}, "availableAt is not a field: write avail"),
    ):
        with subtests.test(path=path, body=body):
            status, answer = await send(world, json.dumps(body).encode(), path)
            assert (status, answer["code"]) == (422, "invalid-request")
            assert meant in answer["detail"]
    more = wish | {"note": "mine", "booking_data": data | {"familyId": "", "family_id": "5", "note": "mine"}}
    status, answer = await send(world, json.dumps(more).encode())
    assert (status, answer["booking_data"]["familyId"]) == (201, "")


async def test_all_wrong_fields_are_told_at_once(world: World) -> None:
    _, answer = await send(world, b'{"booking_data": {"id": 5}, "available_at": "tomorrow"}')
    assert [error["field"] for error in answer["errors"]] == [
        *("box_subdomain", "box_aimharder_id", "booking_data.day", "available_at")
    ]
    for content in (b"[]", b"null", b'"x"', b"5"):
        _, answer = await send(world, content)
        assert answer["errors"] == [{"field": "body", "message": "must be an object"}]


async def test_what_is_no_json_is_told_so(world: World, subtests: pytest.Subtests) -> None:
    wish = json.dumps(world.wish(SOON)).encode()
    for content in (
        *(b"", b"{", b"x", b'{"a": "\xff"}', wish + b"x", wish[:-1] + b',"x":' + b"9" * 5000 + b"}"),
        wish[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ):
        with subtests.test(content=content[:40]):
            status, answer = await send(world, content)
            assert (status, answer["code"]) == (400, "malformed-json")


async def test_odd_but_right_json_is_taken(world: World, subtests: pytest.Subtests) -> None:
    wish = world.wish(SOON)
    for content in (
        *(json.dumps(wish).encode("utf-16"), b"\xef\xbb\xbf" + json.dumps(wish).encode()),
        b'{"available_at": 5, ' + json.dumps(wish).encode()[1:],  # twice the same key: the last one counts
        json.dumps(wish | {"unknown": {"a": [1]}}).encode(),
        json.dumps(wish | {"available_at": SOON.isoformat(sep=" ")}).encode(),
        json.dumps(wish | {"box_subdomain": "MYGYM"}).encode(),
        json.dumps(wish).encode().ljust(LONGEST),
    ):
        with subtests.test(content=content[:40]):
            status, row = await send(world, content)
            assert (status, row["box_subdomain"]) in {(201, "mygym"), (200, "mygym")}
            assert datetime.fromisoformat(row["available_at"]) == SOON


async def test_an_offset_that_the_database_does_not_know_is_the_same_instant(world: World) -> None:
    local = (SOON - timedelta(hours=23, minutes=59)).replace(tzinfo=None).isoformat() + "-23:59"
    status, row = await send(world, json.dumps(world.wish(SOON) | {"available_at": local}).encode())
    assert (status, datetime.fromisoformat(row["available_at"])) == (201, SOON)


async def test_each_time_of_rfc_3339_is_the_instant_that_it_says(world: World, subtests: pytest.Subtests) -> None:
    soon = SOON.replace(minute=0, second=0, microsecond=0)
    before = soon - timedelta(minutes=1)
    local = soon.astimezone(timezone(timedelta(hours=-5)))
    for written in (
        *(f"{before:%Y-%m-%dT%H:%M}:60Z", f"{before:%Y-%m-%dt%H:%M}:60.0z", f"{soon:%Y-%m-%d %H:%M}:00+00:00"),
        *(f"{soon:%Y-%m-%dt%H:%M:%S}z", f"{soon:%Y-%m-%dT%H:%M:%S}.0000000009-00:00"),
        *(f"{soon:%Y-%m-%d %H:%M:%S}+00", f"{local:%Y-%m-%dT%H:%M:%S}-05:00"),
    ):
        with subtests.test(written=written):
            status, row = await send(world, json.dumps(world.wish(SOON) | {"available_at": written}).encode())
            assert status in (200, 201)
            assert datetime.fromisoformat(row["available_at"]) == soon


async def test_a_body_is_counted_and_not_believed(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10_000

    status, answer = await send(world, json.dumps(world.wish(SOON)).encode().ljust(LONGEST + 1))
    assert (status, answer["code"]) == (413, "too-large")
    headers = world.speaking_for(ANA) | {"Content-Type": "application/json"}
    chunked = await world.http.post("/prebookings", headers=headers, content=pieces())
    assert (chunked.status_code, chunked.json()["code"]) == (413, "too-large")
    assert (await world.http.get("/healthz")).is_success


async def test_only_json_is_taken(world: World) -> None:
    content = json.dumps(world.wish(SOON)).encode()
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        status, answer = await send(world, content, **{"Content-Type": media_type})
        assert (status, answer["code"]) == (415, "unsupported-media-type")
    status, _ = await send(world, content, **{"Content-Type": "Application/JSON ; charset=utf-8"})
    assert status == 201


async def test_the_bodies_of_changes_are_read_as_strictly(world: World) -> None:
    row = await world.prebook(ANA, SOON)
    for value in (None, 5, "2026-11-22T07:00:00", "2026-11-22T07:00:00Z\0"):
        body = {"available_at": value}
        answer = await world.http.patch(f"/prebookings/{row['id']}", headers=world.speaking_for(ANA), json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "available_at")
    status, answer_body = await send(world, b'{"available_at": "soon"}', f"/prebookings/{row['id']}/retry")
    assert (status, answer_body["errors"][0]["field"]) == (422, "available_at")


async def test_an_id_that_is_none_is_a_missing_row_and_upper_case_is_the_same_id(world: World) -> None:
    row = await world.prebook(ANA, SOON)
    headers = world.speaking_for(ANA)
    assert (await world.http.get(f"/prebookings/{row['id'].upper()}", headers=headers)).json() == row
    for name in ("x", "%00", "%ff", "1", row["id"] + "0", "ñ", "null", row["id"].replace("-", "/", 1)):
        for method in ("GET", "DELETE"):
            answer = await world.http.request(method, f"/prebookings/{name}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def cursor(said: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


async def test_a_wrong_query_is_named(world: World, subtests: pytest.Subtests) -> None:
    some_id, moment = str(uuid4()), "2026-11-22T07:00:00+00:00"
    forged: list[Any] = [
        [],
        5,
        None,
        {},
        ["x", some_id],
        [moment, "x"],
        [5, some_id],
        [moment, 5],
        [moment, some_id, 1],
    ]
    forged += [["0001-01-01T00:00:00+14:00", some_id], ["9999-12-31T23:59:59-14:00", some_id]]
    wrong = [("limit", value) for value in ("0", "-1", "101", "x", "1.5", "", "9" * 50, "\uff11")]
    wrong += [("status", value) for value in ("", "loaded", "PENDING", "\0")]
    wrong += [("box_subdomain", value) for value in ("", "a.b", "\0")]
    wrong += [("cursor", value) for value in ("x", "ñ", "A" * 3000, base64.b64encode(b"[" * 5000).decode())]
    wrong += [("cursor", cursor(said)) for said in forged]
    for name, value in wrong:
        with subtests.test(name=name, value=value[:60]):
            answer = await world.http.get("/prebookings", headers=world.speaking_for(ANA), params={name: value})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
            assert [error["field"] for error in answer.json()["errors"]] == [name]
