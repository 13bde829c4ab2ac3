"""The session of one execution: revived once, also where nobody waits for the result any more."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prebooking.domain.budget import Budget
from prebooking.domain.prebooking import Session
from prebooking.usecases.sessions.revive import Revival, Revived, SessionReviver

OLD, FRESH = (cast("Session", SimpleNamespace(remembered=False, token=token)) for token in ("old", "fresh"))


class Reviver:
    def __init__(self) -> None:
        self.calls = 0
        self.answered = asyncio.Event()

    async def revive(self, *_: object, **__: object) -> Revived:
        self.calls += 1
        await self.answered.wait()
        return Revived(FRESH)


@pytest.fixture
def reviver() -> Reviver:
    return Reviver()


@pytest.fixture
def revival(reviver: Reviver) -> Revival:
    gym: Any = SimpleNamespace()
    budget = cast("Budget", SimpleNamespace(for_answers=5.0, left=5.0))
    return Revival(cast("SessionReviver", reviver), gym, "ana@example.com", OLD, budget, lambda: -3.0)


async def test_a_session_is_revived_once(revival: Revival, reviver: Reviver) -> None:
    reviver.answered.set()
    assert [await revival.revive() for _ in range(2)] == [True, False]
    assert (revival.session, reviver.calls) == (FRESH, 1)


async def test_a_result_that_nobody_waits_for_is_the_session_of_the_next_request(
    revival: Revival, reviver: Reviver
) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(revival.revive(), 0.01)
    reviver.answered.set()
    await revival.aclose()
    assert revival.session is FRESH


async def test_the_next_caller_is_told_what_a_cancelled_one_was_not(revival: Revival, reviver: Reviver) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(revival.revive(), 0.01)
    reviver.answered.set()
    assert [await revival.revive() for _ in range(2)] == [True, False]
    assert reviver.calls == 1
