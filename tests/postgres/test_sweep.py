"""The sweep: it finds what needs a hand, by kind, and says when to look again; it claims nothing."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.postgres.factories import (
    GIVE_UP_AT,
    OPENING,
    STATES,
    begun,
    claimed,
    failed,
    outcome_unknown,
    parked,
    prebooking,
    settling,
)
from tests.postgres.functions import NOW, Answer, Functions, seconds

FAR = NOW + timedelta(hours=1)


def next_at(swept: Answer) -> datetime | None:
    return None if swept["next_at"] is None else datetime.fromisoformat(swept["next_at"])


async def test_a_sweep_of_nothing_finds_nothing(db: Functions) -> None:
    for ended in ({"status": "completed"}, {"status": "cancelled"}, failed(), outcome_unknown()):
        await prebooking(db, **ended)

    assert await db.sweep() == {
        "outcome": "swept",
        "now": NOW.isoformat(),
        "next_at": None,
        "busy": False,
        "execute": [],
        "settle": [],
        "publish": [],
    }


async def test_a_sweep_changes_nothing(db: Functions) -> None:
    rows = [await prebooking(db, **state(uuid4())) for state in STATES.values()]
    before = [await db.row(row) for row in rows]

    await db.sweep()

    assert [await db.row(row) for row in rows] == before


@pytest.mark.parametrize("lead", [3, 4])
async def test_a_row_is_due_half_a_lead_before_its_opening(db: Functions, lead: float) -> None:
    row = await prebooking(db, scheduled_version=1)

    await db.at(OPENING - seconds(lead / 2 + 0.001))
    early = await db.sweep(lead=lead)
    await db.at(OPENING - seconds(lead / 2))
    due = await db.sweep(lead=lead)

    assert (early["execute"], next_at(early)) == ([], OPENING - seconds(lead / 2))
    assert (due["execute"], due["settle"]) == ([str(row)], [])


async def test_the_message_comes_first_for_a_second_after_create_reschedule_or_retry(db: Functions) -> None:
    rows = {
        "created": await prebooking(db, available_at=NOW, armed_at=NOW),
        "adopted": await prebooking(db, available_at=NOW, armed_at=None, created_at=NOW),
        "moved": await prebooking(db),
        "retried": await prebooking(db, **failed(), available_at=NOW),
    }
    await db.reschedule(rows["moved"], NOW)
    await db.retry(rows["retried"])

    await db.at(NOW + seconds(0.999))
    early = await db.sweep()
    await db.at(NOW + seconds(1))
    due = await db.sweep()

    assert (early["execute"], next_at(early)) == ([], NOW + seconds(1))
    assert set(due["execute"]) == {str(row) for row in rows.values()}


async def test_a_released_row_is_due_again_at_its_next_try(db: Functions) -> None:
    row = await prebooking(db, available_at=NOW, retry_at=NOW + seconds(5))

    early = await db.sweep()
    await db.at(NOW + seconds(5))

    assert (early["execute"], next_at(early)) == ([], NOW + seconds(5))
    assert (await db.sweep())["execute"] == [str(row)]


async def test_the_oldest_opening_and_then_the_first_made_comes_first(db: Functions) -> None:
    second = await prebooking(db, available_at=NOW, created_at=NOW - seconds(20))
    third = await prebooking(db, available_at=NOW, created_at=NOW - seconds(10))
    first = await prebooking(db, available_at=NOW - seconds(1), created_at=NOW - seconds(5))

    assert (await db.sweep())["execute"] == [str(first), str(second), str(third)]
    assert (await db.sweep(limit=2))["execute"] == [str(first), str(second)]


@pytest.mark.parametrize(
    ("state", "kind"),
    [(claimed, "execute"), (begun, "settle"), (settling, "settle"), (parked, "settle")],
)
async def test_an_executing_row_is_looked_at_when_its_lease_ends(db: Functions, state: Any, kind: str) -> None:
    row = await prebooking(db, **state(uuid4(), lease_until=NOW + seconds(4)))

    held = await db.sweep()
    await db.at(NOW + seconds(4))
    ended = await db.sweep()

    assert (held["execute"], held["settle"], next_at(held)) == ([], [], NOW + seconds(4))
    other = {"execute": "settle", "settle": "execute"}[kind]
    assert (ended[kind], ended[other]) == ([str(row)], [])


async def test_the_old_crons_execution_is_settled_two_minutes_after_its_opening(db: Functions) -> None:
    row = await prebooking(db, status="executing", available_at=NOW - seconds(119))

    held = await db.sweep()
    await db.at(NOW + seconds(1))

    assert (held["settle"], next_at(held), held["busy"]) == ([], NOW + seconds(1), True)
    assert (await db.sweep())["settle"] == [str(row)]


@pytest.mark.parametrize(
    "state",
    [
        {"available_at": FAR},
        {"available_at": FAR, "status": "loaded"},
        {"available_at": FAR, "version": 2, "scheduled_version": 1},
    ],
    ids=["no message", "adopted", "moved"],
)
async def test_what_has_no_message_of_its_version_is_to_be_published(db: Functions, state: dict[str, Any]) -> None:
    row = await prebooking(db, **state)

    (missing,) = (await db.sweep())["publish"]

    assert (missing["id"], missing["status"], missing["delivery_failures"]) == (str(row), "pending", 0)
    await db.attach(row, missing["version"], "msg-1")
    assert (await db.sweep())["publish"] == []


@pytest.mark.parametrize(("opens_in", "published"), [(3, False), (3.001, True), (600, True), (600.001, False)])
async def test_only_what_opens_after_the_lead_and_within_the_longest_delay_is_published(
    db: Functions,
    opens_in: float,
    published: bool,  # noqa: FBT001  # a parameter of the case
) -> None:
    await prebooking(db, available_at=NOW + seconds(opens_in))

    assert bool((await db.sweep(lead=3, max_delay=600))["publish"]) == published


async def test_what_was_made_within_10_s_is_its_makers_to_publish(db: Functions) -> None:
    await prebooking(db, available_at=FAR, armed_at=NOW)

    await db.at(NOW + seconds(9.999))
    assert (await db.sweep())["publish"] == []
    await db.at(NOW + seconds(10))
    assert len((await db.sweep())["publish"]) == 1


@pytest.mark.parametrize(
    "state", [claimed(uuid4()), {"status": "cancelled"}, {"status": "completed"}, failed()], ids=lambda s: s["status"]
)
async def test_only_a_pending_row_is_published(db: Functions, state: dict[str, Any]) -> None:
    await prebooking(db, **state, available_at=FAR)

    assert (await db.sweep())["publish"] == []


async def test_what_is_over_is_ended_though_its_opening_is_to_come(db: Functions) -> None:
    """An adopted row may open after its class: it isn't published, it is to be claimed, which ends it."""
    row = await prebooking(db, available_at=FAR, give_up_at=NOW)

    swept = await db.sweep()

    assert (swept["publish"], swept["execute"]) == ([], [str(row)])
    assert (await db.claim(row, uuid4()))["outcome"] == "expired"


async def test_what_is_over_is_found_and_its_claim_ends_it(db: Functions) -> None:
    row = await prebooking(db)
    await db.at(GIVE_UP_AT)

    (found,) = (await db.sweep())["execute"]

    assert found == str(row)
    assert (await db.claim(row, uuid4()))["outcome"] == "expired"
    assert (await db.sweep())["execute"] == []


async def test_the_next_instant_is_the_first_lease_end_try_or_opening(db: Functions) -> None:
    await prebooking(db, available_at=FAR)
    assert next_at(await db.sweep()) == FAR - seconds(1.5)

    await prebooking(db, **parked(uuid4(), lease_until=NOW + seconds(300)))
    assert next_at(await db.sweep()) == NOW + seconds(300)

    await prebooking(db, available_at=NOW, retry_at=NOW + seconds(45))
    assert next_at(await db.sweep()) == NOW + seconds(45)

    await prebooking(db, **parked(uuid4()))  # to be settled now: no reason to wake for
    assert next_at(await db.sweep()) == NOW + seconds(45)


@pytest.mark.parametrize(
    ("state", "busy"),
    [
        ({"available_at": NOW + seconds(10)}, True),
        ({"available_at": NOW + seconds(10.001)}, False),
        ({"status": "loaded", "available_at": NOW}, True),
        (claimed(uuid4(), available_at=NOW - seconds(600)), True),
        (parked(uuid4(), available_at=NOW - seconds(600)), True),
        ({"status": "completed", "available_at": NOW}, False),
    ],
)
async def test_it_is_busy_while_a_row_executes_or_opens_within_10_s(
    db: Functions,
    state: dict[str, Any],
    busy: bool,  # noqa: FBT001  # a parameter of the case
) -> None:
    await prebooking(db, **state)

    assert (await db.sweep())["busy"] is busy
