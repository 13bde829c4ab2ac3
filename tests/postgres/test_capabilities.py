"""A replica of an earlier release is not given the rows that it can't execute; one of this release is."""

from typing import Any
from uuid import uuid4

import pytest
from tests.postgres.factories import begun, claimed, parked, prebooking, session
from tests.postgres.functions import NOW, Functions, seconds

from prebooking.adapters.supabase.capabilities import CAPABILITIES

ONLY_NOW: list[dict[str, Any]] = [
    {"box_domain": "aimharder.es"},
    {"booking_data": {"day": "20990304"}, "class": {"starts": "18:00", "name": None, "time_zone": "Europe/Madrid"}},
]
BEFORE = NOW - seconds(60)
WAITING: list[dict[str, Any]] = [
    {"available_at": BEFORE},
    claimed(uuid4(), lease_until=BEFORE),
    begun(uuid4(), lease_until=BEFORE),
    parked(uuid4(), lease_until=BEFORE),
]


@pytest.mark.parametrize("kind", ONLY_NOW, ids=str)
@pytest.mark.parametrize("state", WAITING, ids=["due", "claimed", "begun", "parked"])
async def test_a_row_is_for_replicas_that_can_execute_it(
    db: Functions, kind: dict[str, Any], state: dict[str, Any]
) -> None:
    row = await prebooking(db, **state, **kind)
    swept = await db.sweep()
    assert (swept["execute"], swept["settle"]) == ([], [])
    refused = await db.claim(row, uuid4())
    assert (refused["outcome"], refused["retry_after"]) == ("held", 5)
    swept = await db.sweep(capabilities=CAPABILITIES)
    assert [*swept["execute"], *swept["settle"]] == [str(row)]
    assert (await db.claim(row, uuid4(), capabilities=CAPABILITIES))["outcome"] == "claimed"


async def test_any_other_row_is_for_all(db: Functions) -> None:
    row = await prebooking(db, available_at=BEFORE, box_domain="aimharder.com")
    assert (await db.sweep())["execute"] == [str(row)]
    assert (await db.claim(row, uuid4()))["outcome"] == "claimed"


async def test_a_session_of_es_is_left_to_replicas_that_know_where_its_cookies_may_go(db: Functions) -> None:
    await session(db, box_domains={"playa": "aimharder.es"})
    row = await prebooking(db, available_at=NOW + seconds(600))
    lease = {"user_email": "ana@example.com", "token": "token-1", "lease": uuid4(), "lease_seconds": 60}
    assert (await db.call("lease_session", **lease))["outcome"] == "busy"
    assert (await db.call("take_session_looks"))["looks"] == []
    [look] = (await db.call("take_session_looks", capabilities=CAPABILITIES))["looks"]
    assert look["prebooking_ids"] == [str(row)]
    assert (await db.call("lease_session", **lease, capabilities=CAPABILITIES))["outcome"] == "leased"


async def test_a_row_of_a_gym_that_only_the_session_knows_under_es_is_for_them_too(db: Functions) -> None:
    await session(db, box_domains={"kap": "aimharder.es"})
    row = await prebooking(db, available_at=BEFORE)
    assert (await db.claim(row, uuid4()))["outcome"] == "held"
    assert (await db.claim(row, uuid4(), capabilities=CAPABILITIES))["outcome"] == "claimed"
