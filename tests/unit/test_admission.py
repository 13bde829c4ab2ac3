"""What an execution that ends before it is ready says of the load of this machine."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prebooking.concurrency.fair_semaphore import FairSemaphore
from prebooking.usecases.booking.admission import admitted
from prebooking.usecases.booking.context import ExecutionContext

PERMITS = 100


def context_of(permits: FairSemaphore) -> tuple[ExecutionContext, Any]:
    """Returns a context with what is read of it, and its budget."""
    budget = SimpleNamespace(left=8.0)
    context = SimpleNamespace(
        gym=SimpleNamespace(is_silent=False),
        prebooking=SimpleNamespace(user_email="ana@example.com", created_at=datetime.now(UTC)),
        claim=SimpleNamespace(begun=False),
        box=SimpleNamespace(host="mygym.aimharder.com"),
        shared=SimpleNamespace(permits=permits),
        since_opening_s=-3.0,
        budget=budget,
        permit=None,
    )
    return cast("ExecutionContext", context), budget


@pytest.mark.parametrize(("left_s", "limit"), [(7.5, PERMITS), (0.1, PERMITS // 2)], ids=["cancelled", "out of time"])
async def test_only_who_runs_out_of_time_lowers_the_limit(left_s: float, limit: int) -> None:
    permits = FairSemaphore(PERMITS)
    context, budget = context_of(permits)
    with suppress(asyncio.CancelledError):
        async with admitted(context):
            budget.left = left_s
            raise asyncio.CancelledError
    assert permits.limit == limit
