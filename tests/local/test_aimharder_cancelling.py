"""What a box answers to a cancellation."""

from collections.abc import AsyncIterator

import pytest
from tests.local.aimharder_guest import CANCEL, Town, new_town


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        town.open()
        yield town


async def test_cancelling_takes_the_reservation_id_and_empties_the_row(town: Town) -> None:
    ana = town.member()
    booked = await ana.book()

    assert await ana.post(CANCEL, id=501, late=0) == {"cancelState": 3}
    assert await ana.post(CANCEL, id=booked["id"], late=0) == {"cancelState": 1}
    row = await ana.row()
    assert (row["bookState"], row["idres"], row["cancelledId"]) == (None, None, None)


async def test_anothers_reservation_is_not_cancelled(town: Town) -> None:
    ana, eva = town.member(), town.member("eva@example.com")
    booked = await ana.book()

    assert await eva.post(CANCEL, id=booked["id"], late=0) == {"cancelState": 3}
    assert len(town.aimharder.site.bookings()) == 1


async def test_late_it_is_asked_back_and_done_only_with_late_1(town: Town) -> None:
    town.box(late_cancel_minutes=90)
    ana = town.member()
    booked = await ana.book()
    town.clock.now_ns = town.aimharder.gym.starts_ns(town.hold()) - 60 * 10**9

    assert await ana.post(CANCEL, id=booked["id"], late=0) == {"cancelState": 2}
    assert (await ana.row())["bookState"] == 1
    assert await ana.post(CANCEL, id=booked["id"], late=1) == {"cancelState": 1}


async def test_a_place_set_free_goes_to_the_first_who_waits(town: Town) -> None:
    town.hold(capacity=1, opens_at=0)
    ana, eva, ida = (town.member(f"{name}@example.com") for name in ("ana", "eva", "ida"))
    booked = await ana.book()
    await eva.book(insist=1)
    await ida.book(insist=1)
    await ana.post(CANCEL, id=booked["id"], late=0)

    assert [(await guest.row())["bookState"] for guest in (ana, eva, ida)] == [None, 1, 0]
