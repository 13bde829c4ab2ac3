"""A user gives a booked place back: told so only when the gym's listing shows it as gone, whoever dies in between."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.executions import ANA, LISTING, WHOAMI, inject_fault, ran
from tests.support.world import BOX, World

from prebooking.usecases import giving_back
from prebooking_local.aimharder import Box, box_routes, routes, rules
from prebooking_local.aimharder.wire import as_json

CANCEL = "/api/cancelBook"


async def booked(world: World, **more: Any) -> dict[str, Any]:
    await world.member(ANA)
    _, row = await ran(world, await world.prebook(ANA, world.open_class(**more)))
    assert row["result"]["outcome"] == "booked"
    return row


async def give_back(world: World, row: dict[str, Any], **query: str) -> httpx.Response:
    path = f"/prebookings/{row['id']}/booking"
    return await world.http.delete(path, headers=world.speaking_for(ANA), params=query)


def cancels(world: World) -> list[str]:
    """The `late` of each request to cancel that reached the gym."""
    return [entry.request.form["late"] for entry in world.gym.ledger.of(CANCEL)]


def release_all(world: World) -> None:
    for reservation in [*world.gym.gym.reservations()]:
        world.gym.gym.release(reservation, world.gym.site.clock())


async def made_yesterday(world: World) -> None:
    """So long after the booking no listing lags any more."""
    await world.database.execute("update public.prebookings set executed_at = executed_at - interval '1 day'")


async def settle(world: World) -> None:
    """The lease of an unfinished one has ended, and the background task runs a pass."""
    await world.database.execute(
        "update public.prebookings set giving_back_until = now() where giving_back_until is not null"
    )
    await world.services.give_back.settle()


async def test_the_place_is_given_back_and_the_class_can_be_wished_anew(sweepless: World) -> None:
    row = await booked(sweepless)
    answer = await give_back(sweepless, row)
    assert answer.status_code == 200, answer.text
    now = answer.json()
    assert (now["status"], now["result"]["outcome"]) == ("completed", "booked")
    assert now["result"]["given_back_at"]
    assert sweepless.bookings(ANA) == 0
    again = await give_back(sweepless, row)
    assert (again.status_code, again.json()) == (200, now)
    assert cancels(sweepless) == ["0"]
    assert (await sweepless.prebook(ANA, sweepless.open_class(3600)))["id"] != row["id"]


async def test_the_history_tells_it(sweepless: World) -> None:
    row = await booked(sweepless)
    await give_back(sweepless, row)
    told = await sweepless.http.get(f"/prebookings/{row['id']}/history", headers=sweepless.speaking_for(ANA))
    assert told.json()["events"][-1]["event"] == "given_back"


async def test_what_is_not_booked_has_no_place_to_give_back(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(3600))
    answer = await give_back(sweepless, row)
    assert (answer.status_code, answer.json()["code"]) == (409, "not-booked")
    for id_ in (str(uuid4()), "x"):
        assert (await give_back(sweepless, {"id": id_})).status_code == 404


async def test_a_late_one_is_asked_for_only_by_who_accepts_that(sweepless: World) -> None:
    sweepless.gym.gym.put_box(Box(slug=BOX.slug, boid=BOX.boid, late_cancel_minutes=60 * 24 * 365))
    row = await booked(sweepless)
    answer = await give_back(sweepless, row)
    assert (answer.status_code, answer.json()["code"]) == (409, "late-cancellation")
    assert sweepless.bookings(ANA) == 1
    assert (await give_back(sweepless, row, late="true")).status_code == 200
    assert (sweepless.bookings(ANA), cancels(sweepless)) == (0, ["0", "1"])


async def test_late_is_true_or_false(sweepless: World) -> None:
    answer = await give_back(sweepless, {"id": str(uuid4())}, late="maybe")
    assert answer.json()["errors"] == [{"field": "late", "message": "must be true or false"}]


@pytest.mark.parametrize("kind", ["reset", "truncated"])
async def test_a_lost_answer_is_settled_by_the_listing(sweepless: World, kind: str) -> None:
    row = await booked(sweepless)
    inject_fault(sweepless, kind=kind, path=CANCEL, times=1)
    answer = await give_back(sweepless, row)
    assert answer.status_code == 200, answer.text
    assert sweepless.bookings(ANA) == 0


async def test_a_request_that_is_lost_is_sent_once_more(sweepless: World) -> None:
    row = await booked(sweepless)
    inject_fault(sweepless, kind="status", status=502, path=CANCEL, times=1)
    assert (await give_back(sweepless, row)).status_code == 200
    assert sweepless.bookings(ANA) == 0


async def test_while_the_listing_is_silent_nobody_says_that_it_is_gone(sweepless: World) -> None:
    row = await booked(sweepless)
    inject_fault(sweepless, kind="status", status=500, path=LISTING)
    answer = await give_back(sweepless, row)
    assert (answer.status_code, answer.json()["code"]) == (503, "gym-unreachable")
    assert answer.headers["Retry-After"]
    assert "given_back_at" not in (await sweepless.read(ANA, row["id"]))["result"]
    sweepless.gym.faults.clear()
    await settle(sweepless)
    assert "given_back_at" not in (await sweepless.read(ANA, row["id"]))["result"]  # it was never asked for
    assert (await give_back(sweepless, row)).status_code == 200


async def test_a_dead_session_sees_no_place_so_it_is_revived_first(sweepless: World) -> None:
    row = await booked(sweepless)
    inject_fault(sweepless, kind="logout", path=CANCEL, times=1)
    assert (await give_back(sweepless, row)).status_code == 200
    assert sweepless.bookings(ANA) == 0


async def test_a_session_that_is_dead_for_good_leaves_it_unknown(sweepless: World) -> None:
    row = await booked(sweepless)
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    assert (await give_back(sweepless, row)).status_code == 503
    await settle(sweepless)
    assert "given_back_at" not in (await sweepless.read(ANA, row["id"]))["result"]


@pytest.mark.parametrize("gone", [True, False])
async def test_what_a_dead_process_left_is_settled_by_the_listing_alone(sweepless: World, *, gone: bool) -> None:
    row = await booked(sweepless)
    await made_yesterday(sweepless)
    await sweepless.services.store.begin_giving_back(row["id"], ANA, uuid4(), lease_s=60)
    if gone:
        release_all(sweepless)
    assert (await give_back(sweepless, row)).status_code == 503  # somebody is at it, as far as is known
    await settle(sweepless)
    assert ("given_back_at" in (await sweepless.read(ANA, row["id"]))["result"]) is gone
    assert cancels(sweepless) == []


async def test_two_at_once_ask_the_gym_once(sweepless: World) -> None:
    row = await booked(sweepless)
    answers = await asyncio.gather(*(give_back(sweepless, row) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert cancels(sweepless) == ["0"]


async def test_a_dead_session_is_never_taken_for_a_place_given_back(sweepless: World) -> None:
    row = await booked(sweepless)
    inject_fault(sweepless, kind="logout", path=WHOAMI)
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    assert (await give_back(sweepless, row)).status_code == 503


async def test_a_refusal_is_told_with_the_gyms_words(sweepless: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await booked(sweepless)
    monkeypatch.setattr(rules, "cancel", lambda *_, **__: 3)
    answer = await give_back(sweepless, row)
    assert (answer.status_code, answer.json()["code"]) == (409, "refused-by-gym")
    assert (await give_back(sweepless, row)).status_code == 409


async def test_a_refusal_after_a_lost_answer_says_nothing_while_the_listing_lags(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request took the place; the second is refused since it is gone, and the listing still shows it."""
    row = await booked(sweepless)
    monkeypatch.setattr(rules, "cancel", lambda *_, **__: 3)
    inject_fault(sweepless, kind="reset", path=CANCEL, times=1)
    assert (await give_back(sweepless, row)).status_code == 503
    release_all(sweepless)
    await made_yesterday(sweepless)
    await settle(sweepless)
    assert "given_back_at" in (await sweepless.read(ANA, row["id"]))["result"]


async def test_a_repeat_of_the_end_changes_nothing(sweepless: World) -> None:
    row = await booked(sweepless)
    token = uuid4()
    await sweepless.services.store.begin_giving_back(row["id"], ANA, token, lease_s=60)
    first = await sweepless.services.store.end_giving_back(row["id"], token, given_back=True)
    again = await sweepless.services.store.end_giving_back(row["id"], token, given_back=True)
    assert first.prebooking
    assert again.prebooking
    assert again.prebooking.result == first.prebooking.result


async def test_nothing_is_sent_when_the_lease_is_nearly_over(sweepless: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await booked(sweepless)
    monkeypatch.setattr(giving_back, "_LEASE_S", 20.0)  # as long as an answer may take
    assert (await give_back(sweepless, row)).status_code == 503
    assert cancels(sweepless) == []


async def test_what_was_never_seen_is_not_taken_for_gone_right_after_the_booking(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing lags behind the booking."""
    row = await booked(sweepless)
    shown = vars(box_routes)["listing"]
    with monkeypatch.context() as lagging:
        lagging.setattr(box_routes, "listing", lambda gym, box, day, _, **more: shown(gym, box, day, None, **more))
        assert (await give_back(sweepless, row)).status_code == 503
    assert (await give_back(sweepless, row)).status_code == 200
    assert cancels(sweepless) == ["0"]


async def test_another_account_that_was_connected_since_sees_no_place_and_says_nothing(sweepless: World) -> None:
    row = await booked(sweepless)
    await made_yesterday(sweepless)
    await sweepless.database.execute("delete from public.auth_sessions")
    await sweepless.member("eva@example.com")
    await sweepless.database.execute("update public.auth_sessions set user_email = $1, connected_at = now()", ANA)
    assert (await give_back(sweepless, row)).status_code == 503
    assert "given_back_at" not in (await sweepless.read(ANA, row["id"]))["result"]
    assert sweepless.bookings(ANA) == 1


async def test_the_gyms_words_are_shown_without_the_session(sweepless: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = await booked(sweepless)
    cookie = sweepless.gym.accounts.sessions(ANA)[0].auth
    said = {"cancelState": 3, "errorMssg": f"No: {cookie}"}
    monkeypatch.setitem(routes._BOX, ("POST", CANCEL), lambda *_: as_json(said))
    answer = await give_back(sweepless, row)
    assert answer.json()["code"] == "refused-by-gym"
    assert cookie not in answer.text
