"""QStash gives up on a message: the row loses it and nothing else, and the sweep goes on."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.signing import FAILED, callback_of, deliver
from tests.support.world import World

from prebooking_local.supabase.faults import Fault

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def row(sweepless: World) -> dict[str, Any]:
    return await sweepless.prebook(ANA, SOON)


async def noted(world: World, row: dict[str, Any]) -> tuple[Any, ...]:
    found = await world.database.fetchrow(
        "select status, version, delivery_failures, scheduled_version, qstash_schedule_id, delivery_failure"
        " from public.prebookings where id = $1",
        row["id"],
    )
    assert found
    return tuple(found.values())


async def test_a_message_that_qstash_gave_up_is_noted_and_ordered_anew(sweepless: World) -> None:
    """End to end: it comes hours early, six times with a signature that isn't QStash's, then the real callback."""
    faults = sweepless.qstash.qstash.faults
    faults.change({"shift_s": {"value": -20_000, "next": 1}, "signing_key": {"value": "x" * 32, "next": 6}})
    row = await sweepless.prebook(ANA, SOON)
    async with asyncio.timeout(60):
        while (await noted(sweepless, row))[2] == 0:
            await asyncio.sleep(0.02)
    status, _, failures, _, message_id, why = await noted(sweepless, row)
    assert (status, failures, message_id) == ("pending", 1, None)
    assert why.startswith("QStash gave up: HTTP 401")

    await sweepless.database.execute("update public.prebookings set armed_at = armed_at - interval '10 seconds'")
    await sweepless.services.sweeper.sweep()
    await sweepless.services.sweeper.wait_idle()
    first, second = sweepless.messages(row["id"])
    assert (await sweepless.read(ANA, row["id"]))["qstash_schedule_id"] == second.id != first.id
    key = second.order.deduplication_id or ""
    assert (key.startswith(f"pb-{row['id']}-v1-"), key.endswith("-f1")) == (True, True)


async def test_a_repeated_callback_is_noted_once(sweepless: World, row: dict[str, Any]) -> None:
    outcomes = [(await deliver(sweepless, FAILED, callback_of(row["id"]))).json()["outcome"] for _ in range(2)]
    assert outcomes == ["noted", "nothing_to_note"]
    assert await noted(sweepless, row) == ("pending", 1, 1, None, None, "QStash gave up: HTTP 502 bad gateway")


async def test_there_is_nothing_to_note_on_what_waits_for_no_such_message(
    sweepless: World, subtests: pytest.Subtests
) -> None:
    claim = "claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute'"
    states = ["version = 2, scheduled_version = 2", "scheduled_version = null", f"status = 'executing', {claim}"]
    states += [f"status = '{status}'" for status in ("cancelled", "completed", "failed")]
    for class_id, state in enumerate(states):
        with subtests.test(state=state):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            await sweepless.database.execute(f"update public.prebookings set {state} where id = $1", row["id"])
            before = await noted(sweepless, row)

            answer = await deliver(sweepless, FAILED, callback_of(row["id"]))
            assert (answer.status_code, answer.json()["outcome"]) == (200, "nothing_to_note")
            assert await noted(sweepless, row) == before


async def test_a_callback_for_nobody_is_done_with(sweepless: World) -> None:
    answer = await deliver(sweepless, FAILED, callback_of(NOBODY))
    assert (answer.status_code, answer.json()) == (200, {"outcome": "nothing_to_note", "prebooking_id": NOBODY})


async def test_a_callback_comes_again_when_the_database_was_down(sweepless: World, row: dict[str, Any]) -> None:
    sweepless.gateway.faults.set(Fault(kind="unavailable", function="note_delivery_failure", times=3))
    down = await deliver(sweepless, FAILED, callback_of(row["id"]))
    again = await deliver(sweepless, FAILED, callback_of(row["id"]))

    assert (down.status_code, down.json()["code"]) == (503, "database-unavailable")
    assert (again.status_code, again.json()["outcome"]) == (200, "noted")


async def test_whatever_the_last_answer_held_can_be_noted(sweepless: World, subtests: pytest.Subtests) -> None:
    page = base64.b64encode(b"\0bad\xff gateway " + b"x" * 9000).decode()
    bodies: tuple[Any, ...] = (page, 5, "ñ", None, ["x"], "x")
    statuses: tuple[Any, ...] = ("\0", "\ud800", None, {"a": "\0"}, "x" * 9000)
    quoted = [{"body": body} for body in bodies] + [{"status": status} for status in statuses]
    for class_id, told in enumerate(quoted):
        with subtests.test(told=ascii(told)[:60]):
            row = await sweepless.prebook(ANA, SOON, class_id=class_id)
            answer = await deliver(sweepless, FAILED, callback_of(row["id"], **told))
            assert (answer.status_code, answer.json()["outcome"]) == (200, "noted")
            assert len((await noted(sweepless, row))[5]) <= 300


async def test_a_signed_callback_that_can_not_be_read_is_not_delivered_again(
    sweepless: World, subtests: pytest.Subtests
) -> None:
    sources = (5, None, "ñ", "!", base64.b64encode(b"x").decode(), base64.b64encode(b"{}").decode())
    for content in (
        *(b"", b"x", b"[]", b"5", b'"sourceBody"', b"\xff", b"[" * 9000, b"{}"),
        *(callback_of(NOBODY, sourceBody=source) for source in sources),
        callback_of("x"),
        callback_of(NOBODY, 2**31),
    ):
        with subtests.test(content=content[:80]):
            answer = await deliver(sweepless, FAILED, content)
            assert (answer.status_code, answer.json()["code"]) == (489, "malformed")
            assert answer.headers["upstash-nonretryable-error"] == "true"
