"""Deliveries: many at once, early, late, repeated, for rows that have moved on, and with a database that fails."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.executions import (
    ANA,
    begun,
    bookings_asked,
    deliver,
    delivered,
    inject_fault,
    lease_ends,
    prebook_open_class,
    shots,
    until,
)
from tests.support.world import World

from prebooking_local.supabase import Fault


async def test_fifty_deliveries_of_one_message_at_once_make_one_booking_request(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"copies": {"value": 25, "next": 1}})
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(1.5))
    answers = await asyncio.gather(*(deliver(sweepless, row["id"]) for _ in range(25)))
    await sweepless.finished(ANA, row["id"])
    (message,) = sweepless.messages(row["id"])
    await until(lambda: len(message.attempts) >= 25 and all(attempt.answer for attempt in message.attempts[:25]))
    answers += [await delivered(sweepless, row, nth) for nth in range(1, 26)]
    ended = {(200, "booked"), (200, "already_finished")}
    assert {(answer.status, answer.outcome) for answer in answers} <= ended | {(503, "held")}
    assert all(answer.retry_after for answer in answers if answer.status == 503)
    assert [answer.outcome for answer in answers].count("booked") == 1
    assert len(bookings_asked(sweepless)) == sweepless.bookings(ANA) == 1


async def test_a_delivery_after_the_end_is_answered_that_it_has_ended(sweepless: World) -> None:
    row = await prebook_open_class(sweepless)
    await delivered(sweepless, row)
    answers = await asyncio.gather(*(deliver(sweepless, row["id"]) for _ in range(10)))
    assert {(answer.status, answer.outcome) for answer in answers} == {(200, "already_finished")}
    assert len(bookings_asked(sweepless)) == 1


async def test_a_delivery_that_is_early_waits_for_the_opening(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    await sweepless.member(ANA)
    opens_at = sweepless.open_class(2)
    row = await sweepless.prebook(ANA, opens_at)
    assert (await deliver(sweepless, row["id"])).outcome == "booked"
    (entry,) = bookings_asked(sweepless)
    assert 0 <= entry.request.first_byte_ns / 1e9 - opens_at.timestamp() < 0.1


async def test_a_delivery_that_is_far_too_early_is_asked_to_come_again_at_the_lead(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(60))
    answered = await deliver(sweepless, row["id"])
    assert (answered.status, answered.outcome) == (503, "not-due")
    assert answered.retry_after in (56, 57)
    now = await sweepless.read(ANA, row["id"])
    assert (now["status"], now["attempts"]) == ("pending", 0)


async def test_a_delivery_that_is_late_runs_at_once(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(-30))
    answered = await deliver(sweepless, row["id"])
    assert answered.outcome == "booked"
    assert answered.took_s < 1


async def test_deliveries_for_rows_that_are_gone_or_have_moved_are_done_with(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(60))
    assert (await deliver(sweepless, str(uuid4()))).outcome == "unknown_prebooking"
    assert (await deliver(sweepless, row["id"], version=2)).outcome == "stale"
    await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    answered = await deliver(sweepless, row["id"])
    assert (answered.status, answered.outcome) == (200, "cancelled")


async def test_created_deleted_and_created_again_within_a_minute_it_fires_once(sweepless: World) -> None:
    await sweepless.member(ANA)
    opens_at = sweepless.open_class(1.5)
    first = await sweepless.prebook(ANA, opens_at)
    await sweepless.http.delete(f"/prebookings/{first['id']}", headers=sweepless.speaking_for(ANA))
    second = await sweepless.prebook(ANA, opens_at)
    assert (await delivered(sweepless, second)).outcome == "booked"
    assert len(bookings_asked(sweepless)) == 1


async def test_a_failed_one_that_is_retried_by_hand_fires_again(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(capacity=0))
    assert (await delivered(sweepless, row)).outcome == "class_full"
    sweepless.open_class(capacity=10)
    answer = await sweepless.http.post(f"/prebookings/{row['id']}/retry", headers=sweepless.speaking_for(ANA))
    assert answer.json()["version"] == 2
    assert (await delivered(sweepless, answer.json())).outcome == "booked"
    assert shots(await sweepless.read(ANA, row["id"])) == ["booked"]


async def test_without_a_database_a_delivery_is_asked_to_come_again_soon(sweepless: World) -> None:
    sweepless.gateway.faults.set(Fault(kind="unavailable", function="claim_prebooking", times=None))
    sweepless.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(sweepless)
    answered = await deliver(sweepless, row["id"])
    assert (answered.status, answered.outcome, answered.retry_after) == (503, "database-unavailable", 2)
    assert answered.took_s < 7


@pytest.mark.parametrize("times", [1, 6], ids=["once", "longer than one call is tried"])
async def test_a_claim_whose_answer_was_lost_is_repeated_and_no_attempt_lost(sweepless: World, times: int) -> None:
    sweepless.gateway.faults.set(Fault(kind="lose_answer", function="claim_prebooking", times=times))
    row = await prebook_open_class(sweepless)
    assert (await delivered(sweepless, row)).outcome == "booked"
    assert (await sweepless.read(ANA, row["id"]))["attempts"] == 1


async def test_a_begin_that_is_not_confirmed_sends_nothing_until_it_is(sweepless: World) -> None:
    sweepless.gateway.faults.set(Fault(kind="lose_answer", function="begin_booking", times=5))
    row = await prebook_open_class(sweepless)
    await begun(sweepless, row)
    assert not bookings_asked(sweepless)
    assert (await delivered(sweepless, row)).outcome == "booked"
    assert len(bookings_asked(sweepless)) == 1


async def test_a_begin_that_is_never_confirmed_sends_nothing_at_all(brief: World) -> None:
    brief.gateway.faults.set(Fault(kind="lose_answer", function="begin_booking", times=None))
    row = await prebook_open_class(brief)
    answered = await delivered(brief, row)
    assert (answered.status, answered.outcome) == (503, "database-unavailable")
    assert answered.took_s < 4
    assert not bookings_asked(brief)


async def test_an_ending_is_written_as_soon_as_the_database_is_back(sweepless: World) -> None:
    sweepless.gateway.faults.set(Fault(kind="unavailable", function="finish_booking", times=7))
    row = await prebook_open_class(sweepless)
    assert (await delivered(sweepless, row)).outcome == "booked"


async def test_an_ending_that_could_not_be_written_is_found_out_later_without_another_request(brief: World) -> None:
    brief.gateway.faults.set(Fault(kind="unavailable", function="finish_booking", times=None))
    row = await prebook_open_class(brief)
    answered = await delivered(brief, row)
    assert (answered.status, answered.outcome) == (503, "database-unavailable")
    assert answered.took_s < 4
    brief.gateway.faults.set()
    await lease_ends(brief, row)
    assert (await deliver(brief, row["id"])).outcome == "booked"
    assert len(bookings_asked(brief)) == 1


async def test_a_worker_that_lost_its_claim_sends_nothing(sweepless: World) -> None:
    inject_fault(sweepless, "slow", "/api/whoami", seconds=0.5)
    row = await prebook_open_class(sweepless)
    stolen = "update public.prebookings set claim_token = gen_random_uuid() where status = 'executing'"
    async with asyncio.timeout(60):
        while await sweepless.database.execute(stolen) != "UPDATE 1":
            await asyncio.sleep(0.01)
    assert (await delivered(sweepless, row)).outcome == "held"
    assert not bookings_asked(sweepless)


async def test_a_row_that_is_over_is_ended_by_its_delivery_and_nothing_sent(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(sweepless)
    await ended_by_delivery(sweepless, row, "give_up_at = now() - interval '1 s'", "expired")


async def test_attempts_that_are_used_up_end_it_with_the_last_true_reason(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(sweepless)
    change = "attempts = 5, last_outcome = 'too_early', last_message = 'Not yet.'"
    assert (await ended_by_delivery(sweepless, row, change, "too_early"))["error_message"] == "Not yet."


async def ended_by_delivery(world: World, row: dict[str, Any], change: str, outcome: str) -> dict[str, Any]:
    await world.database.execute(f"update public.prebookings set {change}")
    answered = await deliver(world, row["id"])
    assert (answered.status, answered.outcome) == (200, outcome)
    now = await world.read(ANA, row["id"])
    assert (now["status"], now["error_code"]) == ("failed", outcome)
    assert not bookings_asked(world)
    return now


async def test_thirty_openings_at_one_instant_leave_in_the_order_of_their_creation(sweepless: World) -> None:
    emails = [f"member{n:02}@example.com" for n in range(30)]
    for email in emails:
        await sweepless.member(email)
    opens_at = sweepless.open_class(9, capacity=30)
    rows = [await sweepless.prebook(email, opens_at) for email in emails]
    assert datetime.now(UTC) < opens_at - timedelta(seconds=0.5)
    for email, row in zip(emails, rows, strict=True):
        assert (await sweepless.finished(email, row["id"]))["result"]["outcome"] == "booked"
    asked = sorted(bookings_asked(sweepless), key=lambda entry: entry.request.first_byte_ns)
    assert asked[0].request.first_byte_ns >= opens_at.timestamp() * 1e9
    fired = [
        (await sweepless.read(e, r["id"]))["result"]["timings"]["fired_at"] for e, r in zip(emails, rows, strict=True)
    ]
    assert fired == sorted(fired)
    assert len(asked) == 30
