"""Listings of other shapes, before the real service: they are read, settled by, and shown."""

import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    WHOAMI,
    book,
    deliver,
    inject_fault,
    lease_ends,
    prebook_open_class,
    ran,
)
from tests.support.world import BOX, CLASS_ID, World

SHAPES = ["gaps", "strings", "start_alone", "hour_elsewhere", "no_hours", "odd_row"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_lost_answer_is_settled_by_each_shape(sweepless: World, shape: str) -> None:
    inject_fault(sweepless, "shape", LISTING, shape=shape, times=None)
    inject_fault(sweepless, "reset", handled=True)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["result"]["outcome"] == "booked"
    assert len(sweepless.gym.ledger.of(BOOK)) == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_classes_of_each_shape_are_shown(sweepless: World, shape: str) -> None:
    await sweepless.member(ANA)
    opens_at = sweepless.open_class(time="08:00 - 09:00", name="WOD", capacity=12)
    inject_fault(sweepless, "shape", LISTING, shape=shape, times=None)
    path = f"/boxes/{BOX.slug}/classes?day={sweepless.day(opens_at)}"
    answer = await sweepless.http.get(path, headers=sweepless.speaking_for(ANA))
    [one] = answer.json()["classes"]
    assert (one["id"], one["name"], one["capacity"]) == (str(CLASS_ID), "WOD", 12)
    assert one["starts"] == (None if shape == "no_hours" else "08:00")


@pytest.mark.parametrize(("shape", "status"), [("no_hours", "executing"), ("start_alone", "failed")])
async def test_two_hours_that_are_unknown_are_no_clash(sweepless: World, shape: str, status: str) -> None:
    """The gym says "same hour", and the listing shows the user in another class: only known hours are the same."""
    row = await prebook_open_class(sweepless)
    sweepless.open_class(class_id=777)
    book(sweepless, 777)
    inject_fault(sweepless, "shape", LISTING, shape=shape, times=None)
    _, now = await ran(sweepless, row)
    assert (now["status"], now["error_code"]) == (status, "time_clash" if status == "failed" else None)


async def test_a_row_that_cannot_be_read_is_not_a_class_that_is_gone(sweepless: World) -> None:
    """The listing lacks the class, but for a row that can't be read: the gym decides."""
    await sweepless.member(ANA)
    opens_at = sweepless.open_class()
    inject_fault(sweepless, "shape", LISTING, shape="odd_row", times=None)
    row = await sweepless.prebook(ANA, opens_at, id=999)
    _, now = await ran(sweepless, row)
    assert now["error_code"] != "class_not_found"
    assert len(sweepless.gym.ledger.of(BOOK)) >= 1


async def test_the_same_with_an_account_that_is_alive_is_settled_later(sweepless: World) -> None:
    inject_fault(sweepless, "shape", LISTING, shape="gaps", times=None)
    inject_fault(sweepless, "status", WHOAMI, status=500, times=None)
    inject_fault(sweepless, "reset", handled=False)
    row = await prebook_open_class(sweepless)
    _, now = await ran(sweepless, row)
    assert now["status"] == "executing"
    sweepless.gym.faults.clear()
    inject_fault(sweepless, "shape", LISTING, shape="gaps", times=None)
    await lease_ends(sweepless, row)
    assert (await deliver(sweepless, row["id"])).outcome == "booked"
