"""Not more are made ready at once than can be; the others wait in line, and nobody's place is lost."""

import asyncio

import pytest

from prebooking.usecases.places import NoPlaceError, Place, Places


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


async def filled(places: Places) -> list[Place]:
    """All that are free."""
    taken = []
    while True:
        try:
            taken.append(await places.take(within_s=0))
        except NoPlaceError:
            return taken


async def test_who_is_not_ready_in_time_halves_the_number_once_for_all_who_began_with_it() -> None:
    places = Places(64)
    crowd = await filled(places)
    for place in crowd[:40]:
        place.leave(in_time=False)
    assert places.number == 32
    assert len(await filled(places)) == 8
    for place in crowd[40:]:
        place.leave(in_time=False)
    assert len(await filled(places)) == 24


async def test_it_goes_on_halving_as_long_as_fewer_are_too_many_but_never_to_none() -> None:
    places = Places(64)
    for _ in range(10):
        for place in await filled(places):
            place.leave(in_time=False)
    assert len(await filled(places)) == places.number == 8


async def test_each_few_that_are_ready_in_time_bring_a_place_back_until_all_are_there() -> None:
    places = Places(64)
    for place in await filled(places):
        place.leave(in_time=False)
    for _ in range(16):
        (await places.take(within_s=0)).leave()
    assert places.number == 36
    for _ in range(1000):
        (await places.take(within_s=0)).leave()
    assert len(await filled(places)) == places.number == 64


async def test_a_single_place_stays() -> None:
    places = Places(1)
    (await places.take(within_s=1)).leave(in_time=False)
    assert len(await filled(places)) == 1
