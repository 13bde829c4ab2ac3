"""A sub-domain that is no box, or that is none for a minute: a redirect or 404, which the listing gets too."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    bookings_asked,
    deliver,
    inject_fault,
    prebook_open_class,
    ran,
    shots,
    sweep,
)
from tests.support.world import World

NOT_HERE: list[dict[str, Any]] = [
    {"kind": "redirect"},
    {"kind": "redirect", "location": "https://mygym.aimharder.es/api/book"},
    {"kind": "redirect", "location": "/login"},
    {"kind": "status", "status": 404},
]


def nowhere(world: World, fault: dict[str, Any], times: int | None = None) -> None:
    for path in (BOOK, LISTING):
        inject_fault(world, **fault | {"path": path, "times": times})


async def tried_again(world: World, row: dict[str, Any]) -> dict[str, Any]:
    """The pause before the next try is over."""
    await world.database.execute("update public.prebookings set retry_at = now() where id = $1", row["id"])
    await deliver(world, row["id"])
    return await world.read(ANA, row["id"])


@pytest.mark.parametrize("fault", NOT_HERE, ids=str)
async def test_what_is_no_box_is_tried_again_and_then_fails_as_that(sweepless: World, fault: dict[str, Any]) -> None:
    nowhere(sweepless, fault)
    row = await prebook_open_class(sweepless)
    answered, now = await ran(sweepless, row)
    assert (answered.outcome, now["status"]) == ("retry-later", "pending")
    while now["status"] == "pending":
        now = await tried_again(sweepless, row)
    assert (now["status"], now["error_code"]) == ("failed", "box_unknown")
    assert shots(now) == ["not_here"] * 5
    assert sweepless.gym.ledger.of(LISTING)[-1].status in (302, 404)


async def test_its_sentence_names_the_sub_domain_and_where_it_was_sent(sweepless: World) -> None:
    nowhere(sweepless, NOT_HERE[1])
    row = await prebook_open_class(sweepless)
    await ran(sweepless, row)
    while (now := await tried_again(sweepless, row))["status"] == "pending":
        pass
    sentence = "AimHarder has no such gym: create it again with the right sub-domain."
    assert now["error_message"] == f"{sentence} (mygym: HTTP 302 to mygym.aimharder.es)"


async def test_meanwhile_it_can_be_cancelled(sweepless: World) -> None:
    nowhere(sweepless, NOT_HERE[0])
    row = await prebook_open_class(sweepless)
    await ran(sweepless, row)
    answer = await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize("fault", NOT_HERE, ids=str)
async def test_a_gym_that_is_away_for_a_minute_is_booked_after_it(sweepless: World, fault: dict[str, Any]) -> None:
    nowhere(sweepless, fault)
    row = await prebook_open_class(sweepless)
    await ran(sweepless, row)
    sweepless.gym.faults.clear()
    now = await tried_again(sweepless, row)
    assert (now["status"], now["result"]["outcome"]) == ("completed", "booked")
    assert sweepless.bookings(ANA) == 1


async def test_a_redirect_that_the_listing_does_not_get_is_settled(sweepless: World) -> None:
    inject_fault(sweepless, "redirect", handled=True)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["result"]["outcome"] == "booked"
    assert len(bookings_asked(sweepless)) == 1


async def test_after_a_request_without_an_answer_a_404_settles_nothing(sweepless: World) -> None:
    inject_fault(sweepless, "reset")
    inject_fault(sweepless, "status", LISTING, status=404, times=None)
    row = await prebook_open_class(sweepless)
    _, now = await ran(sweepless, row)
    assert now["status"] == "executing"
    sweepless.gym.faults.clear()
    await sweep(sweepless)
    assert len(bookings_asked(sweepless)) == 1


@pytest.mark.parametrize(("path", "at_most"), [(LISTING, 3 + 6), ("/api/whoami", 3 + 6 * 2)])
async def test_a_row_that_cannot_be_settled_costs_few_questions(sweepless: World, path: str, at_most: int) -> None:
    """Three until the booking is sent, and then six looks: with the shortest pauses the seventh is past the budget."""
    inject_fault(sweepless, "reset", handled=False)
    row = await prebook_open_class(sweepless)
    inject_fault(sweepless, "status", path, status=500, times=None)
    await ran(sweepless, row)
    first = len(sweepless.gym.ledger.entries)
    for _ in range(3):
        await sweepless.database.execute(
            "update public.prebookings set lease_until = now() - interval '1 ms' where id = $1", row["id"]
        )
        await deliver(sweepless, row["id"])
    assert first <= at_most
    assert len(sweepless.gym.ledger.entries) - first <= 3 * 4  # two looks by each later claim


async def test_a_gym_that_aimharder_does_not_name_as_the_users_is_told_at_create(sweepless: World) -> None:
    await sweepless.member(ANA)
    speaking = sweepless.speaking_for(ANA)
    opens_at = datetime.now(UTC) + timedelta(hours=1)
    elsewhere = sweepless.wish(opens_at) | {"box_subdomain": "mygim"}
    untold = await sweepless.http.post("/prebookings", headers=speaking, json=sweepless.wish(opens_at, class_id=1))
    assert untold.json()["warning"] is None
    await sweepless.http.get("/boxes", headers=speaking)
    named = await sweepless.http.post("/prebookings", headers=speaking, json=sweepless.wish(opens_at, class_id=2))
    assert named.json()["warning"] is None
    told = await sweepless.http.post("/prebookings", headers=speaking, json=elsewhere)
    assert (told.status_code, told.json()["warning"]["code"]) == (201, "box_not_yours")
    assert "mygim" in told.json()["warning"]["message"]


@pytest.mark.parametrize("host", ["{}.aimharder.com", "my-{}.aimharder.es", "gym.evil.example", "{}.evil.example"])
async def test_a_host_is_named_only_if_it_is_one_of_aimharders_and_no_secret(sweepless: World, host: str) -> None:
    await sweepless.member(ANA)
    cookies = json.loads(await sweepless.database.fetchval("select aimharder_cookies from public.auth_sessions"))
    nowhere(sweepless, {"kind": "redirect", "location": f"https://{host.format(cookies[0]['value'][4:24])}/"})
    row = await sweepless.prebook(ANA, sweepless.open_class())
    await ran(sweepless, row)
    words = await sweepless.database.fetchval("select last_message from public.prebookings where id = $1", row["id"])
    assert words.endswith("(mygym: HTTP 302 to elsewhere)")
