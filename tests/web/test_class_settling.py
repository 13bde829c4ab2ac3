"""What became of a request that was begun without an id, or for a class that has another one since: the hour tells."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    WHOAMI,
    Answered,
    book,
    bookings_asked,
    deliver,
    inject_fault,
    lease_ends,
    ran,
    until,
)
from tests.support.world import BOX, CLASS_ID, World
from tests.web.test_class_search import NEW_ID, booked_classes, prebook, put_evening, put_others

KNOWN: dict[str, Any] = {"classTimeUTC": True, "activityName": "CrossFit"}


async def parked(
    world: World, told: dict[str, Any] | None = None, *, handled: bool, listed: bool = True, **data: Any
) -> dict[str, Any]:
    """Ana's request has got no answer, and the listing was silent: booked, or lost on its way (`handled`).

    `listed`: also before the opening, so that it was begun with the id.
    """
    await world.member(ANA)
    opens_at = put_evening(world, -1 if listed else 3, listed_at_opening=not listed)
    put_others(world, opens_at)
    if "classTimeUTC" in data:
        start = world.gym.gym.starts_ns(world.gym.gym.classes[BOX.slug, CLASS_ID]) / 1e9
        data["classTimeUTC"] = datetime.fromtimestamp(start, UTC).isoformat()
    inject_fault(world, "reset", BOOK, handled=handled, seconds=0.5)
    row = await prebook(world, opens_at, told, **data)
    await until(lambda: bookings_asked(world))
    inject_fault(world, "status", LISTING, status=500, times=None)
    _, row = await ran(world, row)
    assert (row["status"], len(bookings_asked(world))) == ("executing", 1)
    world.gym.faults.clear()
    return row


async def settled(world: World, row: dict[str, Any]) -> tuple[Answered, dict[str, Any]]:
    await lease_ends(world, row)
    return await deliver(world, row["id"]), await world.read(ANA, row["id"])


@pytest.mark.parametrize("listed", [True, False])
async def test_a_class_of_that_hour_and_name_that_has_the_user_is_the_booking(
    sweepless: World, *, listed: bool
) -> None:
    answered, row = await settled(sweepless, await parked(sweepless, handled=True, listed=listed))
    assert (answered.outcome, row["result"]["class_id"]) == ("booked", str(CLASS_ID))
    assert len(bookings_asked(sweepless)) == 1


@pytest.mark.parametrize("listed", [True, False])
async def test_where_the_user_is_in_none_of_that_hour_it_is_sent_again(sweepless: World, *, listed: bool) -> None:
    answered, _ = await settled(sweepless, await parked(sweepless, handled=False, listed=listed))
    assert (answered.outcome, booked_classes(sweepless)) == ("booked", [CLASS_ID])
    assert len(bookings_asked(sweepless)) == 2


async def test_absent_is_not_believed_of_a_session_that_does_not_prove_alive(brief: World) -> None:
    row = await parked(brief, handled=False)
    inject_fault(brief, "status", WHOAMI, status=500, times=None)
    _, row = await settled(brief, row)
    assert (row["status"], len(bookings_asked(brief))) == ("executing", 1)


@pytest.mark.parametrize(("empty", "status"), [(True, "executing"), (False, "pending")])
async def test_a_day_that_lists_others_tells_also_where_no_class_fits_and_an_empty_one_does_not(
    sweepless: World, *, empty: bool, status: str
) -> None:
    row = await parked(sweepless, handled=False, listed=False)
    for class_id in [CLASS_ID, *([900, 901] if empty else [])]:
        sweepless.gym.gym.remove_class(BOX.slug, class_id)
    answered, row = await settled(sweepless, row)
    assert (row["status"], len(bookings_asked(sweepless))) == (status, 1)
    assert answered.status == 503


@pytest.mark.parametrize("by_id", [True, False])
async def test_another_class_of_that_hour_that_has_the_user_is_no_absence(sweepless: World, *, by_id: bool) -> None:
    """Its name may have been changed, and where it was not listed at the begin it may have been sent."""
    wish: dict[str, Any] = {"told": {}, "id": CLASS_ID} | KNOWN if by_id else {}
    row = await parked(sweepless, handled=False, listed=False, **wish)
    put_evening(sweepless, -1, class_id=NEW_ID, name="Open Box")
    book(sweepless, NEW_ID)
    _, row = await settled(sweepless, row)
    assert (row["status"], len(bookings_asked(sweepless))) == ("executing", 1)


@pytest.mark.parametrize(("kept", "asked"), [(True, 1), (False, 2)])
async def test_a_class_that_was_created_anew_since_is_known_by_its_hour_and_name(
    brief: World, *, kept: bool, asked: int
) -> None:
    row = await parked(brief, {}, handled=kept, id=CLASS_ID, **KNOWN)
    brief.gym.gym.replace_class(BOX.slug, CLASS_ID, NEW_ID, keeps_places=True)
    answered, row = await settled(brief, row)
    assert (answered.outcome, row["result"]["class_id"]) == ("booked", str(NEW_ID))
    assert (booked_classes(brief), len(bookings_asked(brief))) == ([NEW_ID], asked)


async def test_it_is_known_as_the_listing_had_it_where_the_row_does_not_tell(brief: World) -> None:
    row = await parked(brief, {}, handled=True, id=CLASS_ID)
    brief.gym.gym.replace_class(BOX.slug, CLASS_ID, NEW_ID, keeps_places=True)
    answered, row = await settled(brief, row)
    assert (answered.outcome, row["result"]["class_id"]) == ("booked", str(NEW_ID))


async def test_an_id_that_is_gone_without_another_class_in_its_place_says_nothing(brief: World) -> None:
    row = await parked(brief, {}, handled=False, id=CLASS_ID, **KNOWN)
    brief.gym.gym.remove_class(BOX.slug, CLASS_ID)
    _, row = await settled(brief, row)
    assert (row["status"], len(bookings_asked(brief))) == ("executing", 1)
