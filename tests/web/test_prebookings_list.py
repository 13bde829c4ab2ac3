"""GET /prebookings: one's own rows, newest first, filtered, a page at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.world import World

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)


async def listed(world: World, email: str = ANA, **query: Any) -> list[dict[str, Any]]:
    """All pages."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = query | ({"cursor": cursor} if cursor else {})
        answer = await world.http.get("/prebookings", headers=world.speaking_for(email), params=params)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"prebookings", "next_cursor"}
        page, cursor = answer.json()["prebookings"], answer.json()["next_cursor"]
        rows += page
        assert 0 < len(page) <= query.get("limit", 50) or not rows
        if cursor is None:
            return rows


async def test_one_sees_ones_own_rows_alone(world: World) -> None:
    anas = await world.prebook(ANA, SOON)
    bos = await world.prebook("bo@example.com", SOON)

    assert await listed(world) == [anas]
    assert await listed(world, "BO@Example.com") == [bos]
    assert await listed(world, "nobody@example.com") == []


async def test_pages_have_each_row_once_the_newest_first(world: World) -> None:
    made = [(await world.prebook(ANA, SOON, class_id=n))["id"] for n in range(5)]
    for limit in (1, 2, 5, 100):
        assert [row["id"] for row in await listed(world, limit=limit)] == made[::-1]


async def test_pages_have_each_row_once_though_all_were_made_at_one_instant(world: World) -> None:
    made = {(await world.prebook(ANA, SOON, class_id=n))["id"] for n in range(5)}
    await world.database.execute("update public.prebookings set created_at = '2026-01-01T00:00:00.123456Z'")

    found = [row["id"] for row in await listed(world, limit=2)]
    assert len(found) == 5
    assert set(found) == made


async def test_a_row_made_while_one_turns_the_pages_moves_none(world: World) -> None:
    made = [(await world.prebook(ANA, SOON, class_id=n))["id"] for n in range(3)]
    headers = world.speaking_for(ANA)
    first = (await world.http.get("/prebookings", headers=headers, params={"limit": 2})).json()
    await world.prebook(ANA, SOON, class_id=99)
    second = (await world.http.get("/prebookings", headers=headers, params={"cursor": first["next_cursor"]})).json()

    assert [row["id"] for row in first["prebookings"] + second["prebookings"]] == made[::-1]


async def test_filters_by_status_and_by_box(world: World) -> None:
    pending = await world.prebook(ANA, SOON, class_id=1)
    cancelled = await world.prebook(ANA, SOON, class_id=2)
    await world.http.delete(f"/prebookings/{cancelled['id']}", headers=world.speaking_for(ANA))
    elsewhere = world.wish(SOON, class_id=3) | {"box_subdomain": "other-gym"}
    other = (await world.http.post("/prebookings", headers=world.speaking_for(ANA), json=elsewhere)).json()

    async def ids(**query: str) -> list[str]:
        return [row["id"] for row in await listed(world, **query)]

    assert await ids(status="pending") == [other["id"], pending["id"]]
    assert await ids(status="cancelled") == [cancelled["id"]]
    assert await ids(status="completed") == []
    assert await ids(box_subdomain="Other-Gym") == [other["id"]]
    assert await ids(box_subdomain="mygym", status="pending") == [pending["id"]]


async def test_a_row_of_the_web_application_is_shown_in_the_same_words(world: World) -> None:
    await world.database.execute(
        "insert into public.prebookings (status, user_email, available_at, booking_data) values"
        """ ('loaded', 'Ana@Example.com', '2099-11-18T07:00:00Z', '{"day": "20991122", "id": 501, "familyId": 9}')"""
    )
    (row,) = await listed(world, status="pending")

    assert (row["status"], row["available_at"]) == ("pending", "2099-11-18T07:00:00Z")
    assert row["booking_data"] == {"day": "20991122", "id": "501", "familyId": "9"}
    assert await world.read(ANA, row["id"]) == row


async def test_anothers_row_looks_like_a_missing_one(world: World) -> None:
    row = await world.prebook("bo@example.com", SOON)
    missing = row["id"][:-12] + "0" * 12
    mallory = world.speaking_for("mallory@example.com")
    body = {"available_at": (SOON + timedelta(hours=1)).isoformat()}

    for method, path, sent in (("GET", "", None), ("DELETE", "", None), ("PATCH", "", body), ("POST", "/retry", {})):
        answers = [
            await world.http.request(method, f"/prebookings/{i}{path}", headers=mallory, json=sent)
            for i in (row["id"], missing)
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert await world.read("bo@example.com", row["id"]) == row
