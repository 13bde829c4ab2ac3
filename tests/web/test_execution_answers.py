"""What the gym answers to the booking request, and what becomes of the prebooking then."""

from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    REFRESH,
    WHOAMI,
    at_gym,
    begun,
    bookings_asked,
    delivered,
    inject_fault,
    prebook_open_class,
    ran,
    shots,
)
from tests.support.raw_servers import tunnels
from tests.support.world import BOX, CLASS_ID, Outside, World, open_world

from prebooking.usecases.booking import hold

PARKED = ("executing", None)


async def test_a_booking_completes_the_row_with_what_the_gym_said(sweepless: World) -> None:
    row = await prebook_open_class(sweepless)
    answered, row = await ran(sweepless, row)
    assert (answered.status, answered.outcome) == (200, "booked")
    assert row["status"] == "completed"
    held = sweepless.gym.site.bookings()[0]
    assert (row["result"]["bookingId"], row["result"]["bookState"]) == (str(held["id"]), 1)
    assert row["result"]["message"] == "You are booked."
    assert row["error_code"] is row["error_message"] is None
    assert shots(row) == ["booked"]


async def test_what_is_sent_is_the_wish_and_the_session_and_nothing_else(sweepless: World) -> None:
    await sweepless.member(ANA, family=[{"id": "77"}])
    row = await sweepless.prebook(ANA, sweepless.open_class(), familyId="77", insist=1)
    await delivered(sweepless, row)
    request = (await at_gym(sweepless, BOOK)).request
    assert request.form == {"id": str(CLASS_ID), "day": row["booking_data"]["day"], "insist": "1", "familyId": "77"}
    assert request.cookies.keys() == {"amhrdrauth", "AWSALB", "AWSALBCORS", "PHPSESSID"}
    assert sweepless.gym.site.bookings()[0]["family_id"] == "77"


@pytest.mark.parametrize(
    ("answers", "capacity", "insist", "outcome", "state"),
    [
        ({"booked_answer": 0}, 14, 0, "booked", 1),
        ({"booked_answer": 0}, 14, 1, "booked", 1),
        ({"waiting_answer": 0}, 0, 1, "waiting_list", 0),
    ],
)
async def test_after_bookstate_0_the_listing_tells_booked_from_waiting(
    sweepless: World, answers: dict[str, Any], capacity: int, insist: int, outcome: str, state: int
) -> None:
    sweepless.gym.gym.put_box(BOX.model_copy(update=answers))
    await sweepless.member(ANA)
    opens_at = sweepless.open_class(capacity=capacity)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, opens_at, insist=insist))
    assert (row["status"], row["result"]["outcome"], row["result"]["bookState"]) == ("completed", outcome, state)
    assert len(bookings_asked(sweepless)) == 1


async def test_bookstate_0_with_a_silent_listing_is_parked_and_never_called_booked(brief: World) -> None:
    brief.gym.gym.put_box(BOX.model_copy(update={"booked_answer": 0}))
    inject_fault(brief, "status", LISTING, times=None)
    answered, row = await ran(brief, await prebook_open_class(brief))
    assert (answered.status, answered.outcome) == (503, "retry-later")
    assert (row["status"], row["result"]) == PARKED
    assert len(bookings_asked(brief)) == 1


async def test_too_early_by_the_gyms_clock_is_tried_again_on_the_same_connection(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold, "pause_before_late_opening", lambda _: 1.0)  # long enough to be told from a slow machine
    inject_fault(sweepless, "clock", seconds=-1.5, times=None)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert shots(row)[:-1] == ["too_early"] * (len(shots(row)) - 1)
    asked = bookings_asked(sweepless)
    assert len({entry.request.connection for entry in asked}) == 1
    at_once, *later = (
        (after.request.first_byte_ns - (before.answered_ns or 0)) / 1e6 for before, after in pairwise(asked)
    )
    assert at_once < 900
    assert later
    assert all(pause >= 990 for pause in later)


async def test_a_gym_that_refuses_connections_is_tried_again_until_it_opens_its_door(sweepless: World) -> None:
    inject_fault(sweepless, "refuse", seconds=1.5)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert (row["status"], row["result"]["outcome"]) == ("completed", "booked")
    assert len(bookings_asked(sweepless)) == 1


async def test_a_connection_lost_while_the_request_was_held_means_it_never_left(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with (
        tunnels(int(outside[2].url.rpartition(":")[2])) as way,
        open_world(
            database,
            *outside,
            sweep_seconds=0,
            aimharder_box_url=f"http://127.0.0.1:{way.port}/{{box}}",
        ) as world,
    ):
        await world.member(ANA)
        opens_at = world.open_class(2)
        row = await world.prebook(ANA, opens_at)
        await begun(world, row)
        way.cut()
        _, row = await ran(world, row)
        assert row["result"]["outcome"] == "booked"
        assert len(bookings_asked(world)) == world.bookings(ANA) == 1
        assert shots(row) == ["booked"]


REFUSALS: list[tuple[str, dict[str, Any]]] = [
    ("class_full", {"class": {"capacity": 0}}),
    ("no_credit", {"class": {"included": 0}}),
    ("unpaid", {"member": {"unpaid": True}}),
    ("too_late", {"box": {"closes_minutes": 60 * 24 * 30}}),
    ("daily_limit", {"box": {"daily_max": 0}}),
    ("limit_reached", {"member": {"class_limit": 0}}),
    ("limit_reached", {"member": {"contract_limit": 0}}),
    ("refused", {"class": {"resadmin": 1}}),
]


@pytest.mark.parametrize(("outcome", "rules"), REFUSALS)
async def test_a_refusal_fails_the_row_at_once_with_its_reason(
    sweepless: World, outcome: str, rules: dict[str, Any]
) -> None:
    sweepless.gym.gym.put_box(BOX.model_copy(update=rules.get("box", {})))
    await sweepless.member(ANA, **rules.get("member", {}))
    row = await sweepless.prebook(ANA, sweepless.open_class(**rules.get("class", {})))
    answered, row = await ran(sweepless, row)
    assert (answered.status, answered.outcome) == (200, outcome)
    assert (row["status"], row["error_code"]) == ("failed", outcome)
    assert (row["result"]["success"], row["result"]["outcome"]) == (False, outcome)
    assert row["error_message"] == row["result"]["message"]
    assert len(bookings_asked(sweepless)) == 1


async def test_a_key_that_nobody_knows_is_refused_with_the_words_of_the_gym(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(resadmin=1))
    _, row = await ran(sweepless, row)
    assert row["error_message"] == ("The gym refused the booking. (Esta clase sólo la puede reservar el centro)")
    assert row["result"]["bookState"] == -12


async def test_a_text_without_a_bookstate_is_refused_with_its_words(sweepless: World) -> None:
    inject_fault(sweepless, "html_text")
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["error_code"] == "refused"
    assert "(No ha sido posible realizar la reserva. Consulta al centro)" in row["error_message"]


@pytest.mark.parametrize("status", [403, 429])
async def test_a_block_releases_the_row_and_is_not_answered_by_another_request(sweepless: World, status: int) -> None:
    inject_fault(sweepless, "status", status=status)
    row = await prebook_open_class(sweepless)
    answered = await delivered(sweepless, row)
    assert (answered.status, answered.outcome) == (503, "retry-later")
    assert answered.retry_after in (1, 2)
    assert len(bookings_asked(sweepless)) == 1
    again = await delivered(sweepless, row, nth=2)
    assert again.outcome == "booked"
    row = await sweepless.read(ANA, row["id"])
    assert (row["attempts"], shots(row)) == (2, ["blocked", "booked"])


async def test_logout_from_a_session_that_lives_is_tried_again(sweepless: World) -> None:
    inject_fault(sweepless, "logout")
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["result"]["outcome"] == "booked"
    assert shots(row) == ["session_expired", "booked"]


async def test_logout_with_a_silent_account_host_is_tried_again(sweepless: World) -> None:
    inject_fault(sweepless, "logout")
    inject_fault(sweepless, "status", WHOAMI, times=None)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["result"]["outcome"] == "booked"


async def test_logout_from_a_dead_session_is_refreshed_once_and_tried_again(sweepless: World) -> None:
    inject_fault(sweepless, "logout")
    inject_fault(sweepless, "slow", WHOAMI)  # when made ready it lives
    inject_fault(sweepless, "logout", WHOAMI)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["result"]["outcome"] == "booked"
    assert len(sweepless.gym.ledger.of(REFRESH)) == 1
    stored = await sweepless.database.fetchrow("select * from public.auth_sessions")
    assert stored["aimharder_token"] == sweepless.gym.accounts.sessions(ANA)[0].token
    assert stored["token_update_count"] == 1


async def test_logout_from_a_session_dead_for_good_fails_the_row_and_tells_to_sign_in(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = sweepless.open_class(2)
    row = await sweepless.prebook(ANA, opens_at)
    await begun(sweepless, row)
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    answered, row = await ran(sweepless, row)
    assert (answered.status, row["error_code"]) == (200, "session_expired")
    assert "sign in again" in row["error_message"]
    assert len(bookings_asked(sweepless)) == 1


async def test_when_the_attempts_are_used_up_it_fails_with_the_last_true_reason(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, max_attempts=1) as world:
        inject_fault(world, "status", status=403)
        answered, row = await ran(world, await prebook_open_class(world))
        assert (answered.status, row["error_code"]) == (200, "blocked")
        assert row["error_message"] == "The gym blocked the request. (HTTP 403)"


async def test_what_the_old_cron_finished_meanwhile_stays_as_it_wrote_it(sweepless: World) -> None:
    inject_fault(sweepless, "slow", seconds=0.5)
    row = await prebook_open_class(sweepless)
    await at_gym(sweepless, BOOK)
    await sweepless.database.execute("update public.prebookings set status = 'failed', error_message = 'cron'")
    answered, row = await ran(sweepless, row)
    assert (answered.status, answered.outcome) == (200, "already_finished")
    assert (row["status"], row["error_message"], row["result"]) == ("failed", "cron", None)
