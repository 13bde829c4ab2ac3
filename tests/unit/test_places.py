"""Not more are made ready at once than can be; the others wait in line, and nobody's place is lost."""

import asyncio

import pytest

from prebooking.usecases.places import NoPlaceError, Places


async def test_who_comes_first_gets_the_next_place() -> None:
    places, order = Places(1), list[int]()
    first = await places.take(within_s=1)

    async def wait(number: int) -> None:
        place = await places.take(within_s=1)
        order.append(number)
        place.leave()

    waiting = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert not order
    first.leave()
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2]


@pytest.mark.parametrize("within_s", [-1.0, 0.0, 0.01])
async def test_who_finds_none_in_time_is_told(within_s: float) -> None:
    places = Places(1)
    await places.take(within_s=1)
    with pytest.raises(NoPlaceError):
        await places.take(within_s=within_s)


async def test_leaving_twice_gives_back_one_place() -> None:
    places = Places(1)
    place = await places.take(within_s=1)
    place.leave()
    place.leave()
    await places.take(within_s=1)
    with pytest.raises(NoPlaceError):
        await places.take(within_s=0.01)
