"""Not more are made ready at once than can be; nobody takes it all, the others wait in line, no permit is ever lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebooking.concurrency.fair_semaphore import FairSemaphore, Key, NoPermitError, Permit, Weight

BUSY, QUIET = Key(Weight.BOX, "busy"), Key(Weight.BOX, "quiet")


def of(user: object) -> Key:
    return Key(Weight.USER, str(user))


async def filled(semaphore: FairSemaphore, *keys: Key) -> list[Permit]:
    """All that these keys may have."""
    taken = []
    while True:
        try:
            taken.append(await semaphore.acquire(*keys, within_s=0))
        except NoPermitError:
            return taken


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


# ---- the line -----------------------------------------------------------------------------------------------------


async def test_who_comes_first_gets_the_next_permit() -> None:
    semaphore, order = FairSemaphore(1), list[int]()
    first = await semaphore.acquire(within_s=1)

    async def wait(number: int) -> None:
        permit = await semaphore.acquire(within_s=1)
        order.append(number)
        permit.release()

    waiting = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert not order
    first.release()
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2]


async def test_of_those_under_one_key_the_first_created_gets_the_next_permit_whoever_came_first() -> None:
    semaphore, order = FairSemaphore(1), list[int]()
    first = await semaphore.acquire(within_s=1)

    async def wait(created_at: int) -> None:
        permit = await semaphore.acquire(BUSY, within_s=1, created_at=created_at)
        order.append(created_at)
        permit.release()

    waiting = [asyncio.create_task(wait(number)) for number in (3, 1, 2, 0)]
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3]


@pytest.mark.parametrize("within_s", [-1.0, 0.0, 0.01])
async def test_who_finds_none_in_time_is_told(within_s: float) -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire(within_s=1)
    with pytest.raises(NoPermitError):
        await semaphore.acquire(within_s=within_s)


async def test_the_line_is_shared_too_so_a_key_that_fills_its_part_is_told_at_once() -> None:
    semaphore = FairSemaphore(10)
    await filled(semaphore, BUSY)
    busy = [asyncio.create_task(semaphore.acquire(BUSY, within_s=60)) for _ in range(300)]
    await turns()
    told = [task for task in busy if task.done() and isinstance(task.exception(), NoPermitError)]
    assert len(busy) - len(told) == 200
    await filled(semaphore)
    quiet = asyncio.create_task(semaphore.acquire(QUIET, within_s=60))
    await turns()
    assert not quiet.done()  # it waits
    for task in (*busy, quiet):
        task.cancel()
    await asyncio.gather(*busy, quiet, return_exceptions=True)


async def test_releasing_twice_gives_back_one_permit() -> None:
    semaphore = FairSemaphore(1)
    permit = await semaphore.acquire(within_s=1)
    permit.release_without_feedback()
    permit.release()
    permit.release()
    permit.release_without_feedback()
    await semaphore.acquire(within_s=1)
    with pytest.raises(NoPermitError):
        await semaphore.acquire(within_s=0.01)


# ---- the parts ----------------------------------------------------------------------------------------------------


async def test_one_box_alone_may_have_most_and_whoever_else_comes_finds_room_at_once() -> None:
    semaphore = FairSemaphore(100)
    assert len(await filled(semaphore, BUSY)) == 50
    assert len(await filled(semaphore, QUIET)) == 25


async def test_one_user_may_have_all_their_wishes_at_once_and_settling_a_few() -> None:
    semaphore = FairSemaphore(100)
    assert len(await filled(semaphore, BUSY, of("ana"))) == 20
    assert len(await filled(semaphore, Key(Weight.SETTLING))) == 5


async def test_some_boxes_that_want_all_there_is_leave_room_for_another() -> None:
    semaphore = FairSemaphore(100)
    assert [len(await filled(semaphore, Key(Weight.BOX, f"box {hog}"))) for hog in range(5)] == [50, 25, 13, 6, 3]
    await semaphore.acquire(QUIET, within_s=0)


async def test_a_hundred_users_of_one_box_leave_room_for_another_box() -> None:
    semaphore = FairSemaphore(100)
    for user in range(100):
        await filled(semaphore, BUSY, of(user))
    assert len(await filled(semaphore, QUIET, of("new"))) == 10


async def test_who_waits_for_its_part_keeps_nobody_waiting_who_came_later() -> None:
    semaphore = FairSemaphore(10)
    await filled(semaphore, BUSY)
    waiting = asyncio.create_task(semaphore.acquire(BUSY, within_s=60, created_at=1))
    await turns()
    await semaphore.acquire(QUIET, within_s=0, created_at=2)
    assert not waiting.done()
    waiting.cancel()


@settings(max_examples=150)
@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=1, max_value=40))
def test_whatever_comes_and_goes_no_permit_is_lost_and_everybody_gets_one_in_order(seed: int, most: int) -> None:
    asyncio.run(_come_and_go(Random(seed), most))


async def _come_and_go(  # noqa: C901  # one case a kind of event
    dice: Random, most: int
) -> None:
    semaphore = FairSemaphore(most)
    held: list[tuple[tuple[Key, ...], Permit]] = []
    tasks: set[asyncio.Task[None]] = set()
    granted: dict[tuple[Key, ...], list[float]] = {}
    refused = left = 0

    async def come(keys: tuple[Key, ...], created_at: float) -> None:
        nonlocal refused
        try:
            permit = await semaphore.acquire(*keys, within_s=3600, created_at=created_at)
        except NoPermitError:
            refused += 1
        else:
            granted.setdefault(keys, []).append(created_at)
            held.append((keys, permit))

    for number in range(150):
        match dice.choice(("come", "come", "come", "go", "go", "leave", "turn")):
            case "come":
                keys = (Key(Weight.BOX, dice.choice("abc")), of(dice.choice("vwxyz")))
                settling = (Key(Weight.SETTLING),) if dice.random() < 0.2 else ()
                tasks.add(asyncio.create_task(come((*settling, *keys), number)))
            case "go" if held:
                _, permit = held.pop(dice.randrange(len(held)))
                dice.choice(
                    (permit.release, permit.release_without_feedback, lambda p=permit: p.release(in_time=False))
                )()
            case "leave" if tasks:
                leaving = dice.choice([*tasks])
                left += not leaving.done()
                leaving.cancel()
                tasks.discard(leaving)
            case "turn":
                await turns(dice.randrange(3))
        assert semaphore._used <= most
    await turns()
    while not all(task.done() for task in tasks):  # whoever waits is let in by those who go
        assert held, "somebody waits though everything is free"
        held.pop(0)[1].release()
        await turns()
    for _, permit in held:
        permit.release()
    assert semaphore._used == 0
    assert not semaphore._queue
    assert not semaphore._held
    assert not semaphore._queued


@settings(max_examples=100)
@given(
    st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=200), st.integers(min_value=8, max_value=100)
)
def test_a_key_that_holds_nothing_is_let_in_before_any_that_has_its_part(comers: list[int], most: int) -> None:
    async def crowd() -> None:
        semaphore, held = FairSemaphore(most), Counter[int]()
        for box in comers:
            try:
                await semaphore.acquire(Key(Weight.BOX, str(box)), within_s=0)
            except NoPermitError:
                free = semaphore.limit - semaphore._used
                assert not free or held[box] >= max(1, Weight.BOX.value * free), "it was refused within its share"
            else:
                held[box] += 1
        assert semaphore.limit - semaphore._used == most - sum(held.values())

    asyncio.run(crowd())


# ---- how many -----------------------------------------------------------------------------------------------------


async def test_who_is_not_ready_in_time_halves_the_number_once_for_all_who_began_with_it() -> None:
    semaphore = FairSemaphore(64)
    crowd = await filled(semaphore)
    for permit in crowd[:40]:
        permit.release(in_time=False)
    assert semaphore.limit == 32
    assert len(await filled(semaphore)) == 8
    for permit in crowd[40:]:
        permit.release(in_time=False)
    assert len(await filled(semaphore)) == 24


async def test_it_goes_on_halving_as_long_as_fewer_are_too_many_but_never_to_none() -> None:
    semaphore = FairSemaphore(64)
    for _ in range(10):
        for permit in await filled(semaphore):
            permit.release(in_time=False)
    assert len(await filled(semaphore)) == semaphore.limit == 8


async def test_each_few_that_are_ready_in_time_bring_a_permit_back_until_all_are_there() -> None:
    semaphore = FairSemaphore(64)
    for permit in await filled(semaphore):
        permit.release(in_time=False)
    for _ in range(16):
        (await semaphore.acquire(within_s=0)).release()
    assert semaphore.limit == 36
    for _ in range(1000):
        (await semaphore.acquire(within_s=0)).release()
    assert len(await filled(semaphore)) == semaphore.limit == 64


async def test_what_is_lent_still_tells_whether_it_was_in_time() -> None:
    semaphore = FairSemaphore(64)
    crowd = await filled(semaphore)
    crowd[0].release_without_feedback()
    (await semaphore.acquire(within_s=0)).release_without_feedback()
    assert semaphore.limit == 64
    crowd[0].release(in_time=False)
    assert semaphore.limit == 32


async def test_a_single_permit_stays() -> None:
    semaphore = FairSemaphore(1)
    (await semaphore.acquire(within_s=1)).release(in_time=False)
    assert len(await filled(semaphore)) == 1


@pytest.mark.parametrize("leave", [asyncio.Task.cancel, lambda task: None])
async def test_who_leaves_the_line_at_the_very_instant_of_the_grant_loses_no_permit(
    leave: Callable[[asyncio.Task[Permit]], object],
) -> None:
    semaphore = FairSemaphore(1)
    first = await semaphore.acquire(within_s=1)
    waiting = asyncio.create_task(semaphore.acquire(within_s=1))
    await turns()
    first.release()  # granted, and not yet run
    leave(waiting)
    granted: Awaitable[Permit] = waiting
    with suppress(asyncio.CancelledError):
        (await granted).release()
    await semaphore.acquire(within_s=0)
