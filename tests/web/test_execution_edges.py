"""What happens at the edges of a budget, of the clocks and of what a database can store."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.support.executions import (
    ANA,
    BOOK,
    LISTING,
    REFRESH,
    WHOAMI,
    deliver,
    delivered,
    inject_fault,
    lease_ends,
    prebook_open_class,
    ran,
)
from tests.support.world import World

from prebooking.adapters.aimharder import gym
from prebooking.adapters.aimharder.answers import read_reply
from prebooking.adapters.clock import SystemClock, monotonic
from prebooking.usecases.booking.begin_stagger import BeginStagger
from prebooking_local.supabase import Fault


async def stored(world: World, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row as the database has it, with what the API doesn't show."""
    found = await world.database.fetchrow("select * from public.prebookings where id = $1", row["id"])
    assert found
    return {**found, "shots": json.loads(found["shots"])}


async def test_a_question_that_hangs_at_the_end_of_the_budget_leaves_time_to_park(brief: World) -> None:
    inject_fault(brief, "hang", LISTING, times=10)
    inject_fault(brief, "status", status=502, seconds=1.0)
    row = await prebook_open_class(brief)
    assert (await delivered(brief, row)).outcome == "retry-later"
    parked = await stored(brief, row)
    assert (parked["parks"], len(parked["shots"])) == (1, 1)


async def test_settling_in_vain_keeps_the_last_true_reason_as_it_was(sweepless: World) -> None:
    inject_fault(sweepless, "reset", handled=False)
    row = await prebook_open_class(sweepless)
    await delivered(sweepless, row)
    first = await stored(sweepless, row)
    sweepless.gym.gym.classes.clear()
    for _ in range(3):
        await lease_ends(sweepless, row)
        await deliver(sweepless, row["id"])
    last = await stored(sweepless, row)
    assert (last["parks"], last["last_outcome"], last["last_message"]) == (
        first["parks"] + 3,
        first["last_outcome"],
        first["last_message"],
    )


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud83d"])
async def test_words_that_no_database_stores_do_not_keep_a_refusal_from_being_told(
    sweepless: World, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    said = f'{{"bookState": -1, "errorMssg": "full {odd}"}}'.encode()
    monkeypatch.setattr(gym, "read_reply", lambda *_, **__: read_reply(200, said))
    row = await prebook_open_class(sweepless)
    await delivered(sweepless, row)
    failed = await sweepless.read(ANA, row["id"])
    assert (failed["status"], failed["error_code"]) == ("failed", "class_full")
    assert "full" in failed["error_message"]


@pytest.mark.parametrize("skew_s", [-3, 3])
async def test_a_host_clock_that_is_off_does_not_spoil_the_measured_answer_time(
    sweepless: World, monkeypatch: pytest.MonkeyPatch, skew_s: float
) -> None:
    monkeypatch.setattr(SystemClock, "wall", lambda _: time.time() + skew_s)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert 0 <= row["result"]["timings"]["response_ms"] < 1000


async def test_a_begin_that_is_confirmed_too_late_sends_nothing(brief: World) -> None:
    brief.gateway.faults.set(Fault(function="begin_booking", kind="drop", seconds=0.97, times=2))
    row = await prebook_open_class(brief)
    assert (await delivered(brief, row)).outcome in ("retry-later", "database-unavailable")
    assert (await stored(brief, row))["shots"] == []
    assert not brief.gym.ledger.of(BOOK)


async def test_who_wakes_from_a_suspend_after_its_time_begins_nothing(
    sweepless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended_s = 0.0
    begun: list[Any] = []
    take = BeginStagger.take

    @contextmanager
    def suspended(stagger: BeginStagger, opening: float) -> Iterator[float]:
        nonlocal suspended_s
        with take(stagger, opening) as ahead_s:
            yield ahead_s
        suspended_s = 60.0

    monkeypatch.setattr(SystemClock, "monotonic", lambda _: monotonic() + suspended_s)
    monkeypatch.setattr(BeginStagger, "take", suspended)
    monkeypatch.setattr(sweepless.services.store, "begin", begun.append)
    answered, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert (answered.outcome, row["status"]) == ("retry-later", "pending")
    assert begun == []
    assert not sweepless.gym.ledger.of(BOOK)


async def test_a_refresh_is_not_begun_when_its_token_could_not_be_kept(brief: World) -> None:
    await brief.member(ANA)
    inject_fault(brief, "hang", WHOAMI)
    inject_fault(brief, "logout", seconds=0.9, handled=False)
    inject_fault(brief, "logout", WHOAMI)
    inject_fault(brief, "slow", REFRESH, seconds=2.2)
    await delivered(brief, await brief.prebook(ANA, brief.open_class()))
    brief.gym.faults.clear()
    # The gym and the database still agree on the token: whoever refreshes next can.
    kept = await brief.database.fetchrow("select * from public.auth_sessions")
    assert kept
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in json.loads(kept["aimharder_cookies"]))
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(
            brief.gym.url + REFRESH,
            data={"token": kept["aimharder_token"], "ciclo": "1", "fingerprint": kept["fingerprint"]},
            headers={"Cookie": cookie},
        )
    assert "newToken" in answer.json()
