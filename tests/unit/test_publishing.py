"""While QStash accepts no messages it gets few calls; a refusal of one message does not affect the others."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs
from tests.support.fake_clock import FakeClock

from prebooking.domain.errors import MessagingError, PublishingPausedError
from prebooking.domain.prebooking import Prebooking, Status
from prebooking.domain.sweep_result import NeedsMessage
from prebooking.usecases.publishing import PublishCircuitBreaker, RefusedMessages

REGION = MessagingError("404 not found in this region", pause=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> PublishCircuitBreaker:
    return PublishCircuitBreaker(clock)


async def publish(breaker: PublishCircuitBreaker, answer: MessagingError | None = None) -> bool:
    """Whether QStash was asked."""
    try:
        async with breaker.attempt():
            if answer:
                raise answer
    except PublishingPausedError:
        return False
    except MessagingError:
        pass
    return True


async def test_a_sweep_that_is_refused_pauses_five_seconds_and_then_twice_as_long(
    clock: FakeClock, breaker: PublishCircuitBreaker
) -> None:
    pauses = []
    for _ in range(9):
        assert await publish(breaker, REGION)
        paused_at = clock.true_time
        while breaker.paused:
            clock.true_time += 0.1
        pauses.append(round(clock.true_time - paused_at))
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


async def test_200_creates_a_minute_and_a_sweep_a_second_ask_at_most_15_times(
    clock: FakeClock, breaker: PublishCircuitBreaker
) -> None:
    requests = 0
    with capture_logs() as lines:
        for _ in range(60):
            for _ in range(3):
                requests += await publish(breaker, REGION)
                clock.true_time += 0.33
            if not breaker.paused:
                requests += await publish(breaker, REGION)
    assert 3 < requests <= 15
    assert [line["event"] for line in lines] == ["ordering_paused"]


async def test_a_few_refusals_keep_no_create_from_asking(breaker: PublishCircuitBreaker) -> None:
    """A connection that was lost once says little, and on a host that sleeps a message is all there is."""
    assert [await publish(breaker, REGION) for _ in range(4)] == [True, True, True, False]


async def test_creates_under_way_together_prolong_the_pause_once(
    clock: FakeClock, breaker: PublishCircuitBreaker
) -> None:
    answered = asyncio.Event()

    async def create() -> None:
        with suppress(MessagingError):
            async with breaker.attempt():
                await answered.wait()
                raise REGION

    creates = [asyncio.create_task(create()) for _ in range(20)]
    await asyncio.sleep(0)
    answered.set()
    await asyncio.gather(*creates)
    clock.true_time += 5
    assert not breaker.paused


@pytest.mark.parametrize("answer", [None, MessagingError("412 too large", pause=False)], ids=["taken", "one message"])
async def test_the_first_order_that_is_answered_for_itself_ends_the_pause(
    clock: FakeClock, breaker: PublishCircuitBreaker, answer: MessagingError | None
) -> None:
    for _ in range(5):
        await publish(breaker, REGION)
        clock.true_time += 400
    with capture_logs() as lines:
        assert await publish(breaker, answer)
    assert not breaker.paused
    assert [await publish(breaker) for _ in range(5)] == [True] * 5
    assert [(line["event"], line["refused"]) for line in lines] == [("ordering_resumed", 5)]


async def test_an_outage_is_told_again_every_five_minutes(clock: FakeClock, breaker: PublishCircuitBreaker) -> None:
    with capture_logs() as lines:
        until = clock.true_time + 3600
        while clock.true_time < until:
            await publish(breaker, REGION)
            clock.true_time += 5
    assert 11 <= len(lines) <= 13


def missing(prebooking_id: UUID | None = None, version: int = 1) -> NeedsMessage:
    now = datetime.now(UTC)
    row = Prebooking(
        id=prebooking_id or uuid4(),
        user_email="ana@example.com",
        status=Status.PENDING,
        version=version,
        attempts=0,
        available_at=now,
        box_subdomain="mygym",
        box_aimharder_id="7",
        booking_data={},
        created_at=now,
        updated_at=now,
    )
    return NeedsMessage(prebooking=row, delivery_failures=0)


def rounds(clock: FakeClock, hours: int, one: Callable[[], int]) -> int:
    """What comes of a sweep a minute."""
    total = 0
    for _ in range(hours * 60):
        total += one()
        clock.true_time += 60
    return total


def test_a_refused_message_is_ordered_ever_more_rarely_and_others_at_once(clock: FakeClock) -> None:
    refused, bad, good = RefusedMessages(clock), missing(), missing()

    def swept() -> int:
        worth = refused.due([bad, good])
        assert good in worth
        if bad in worth:
            refused.note(bad)
        return bad in worth

    assert rounds(clock, 24, swept) in range(26, 32)


def test_another_version_of_a_refused_one_is_ordered_at_once(clock: FakeClock) -> None:
    refused, bad = RefusedMessages(clock), missing()
    refused.note(bad)
    moved = missing(bad.prebooking.id, 2)
    assert refused.due([bad, moved]) == [moved]


def test_200_messages_refused_one_by_one_are_ten_requests_a_minute_and_all_get_their_turn(clock: FakeClock) -> None:
    refused, tried = RefusedMessages(clock), set()
    all_of_them = [missing() for _ in range(200)]

    def swept() -> int:
        for one in refused.due(all_of_them):
            if refused.too_many:
                break
            refused.note(one)
            tried.add(one.prebooking.id)
        return 0

    for _ in range(10):
        swept()
    assert len(tried) == 10
    rounds(clock, 2, swept)
    assert len(tried) == 200
