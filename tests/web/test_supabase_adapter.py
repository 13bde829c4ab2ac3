"""The rows, through Supabase's own client to a real gateway before a real database."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from prebooking.adapters import clock
from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.adapters.supabase.store import SupabaseStore, open_store
from prebooking.domain.claims import Claim
from prebooking.domain.cookies import Cookie
from prebooking.domain.errors import StoreUnavailableError
from prebooking.domain.prebooking import Box, Status
from prebooking.domain.transitions import Limits, Transition
from prebooking.domain.wished_class import WishedClass
from prebooking_local.supabase import Fault, Gateway

ANA = "ana@example.com"
BOX = Box(subdomain="mygym", aimharder_id="7")
LIMITS = Limits(active=15, per_minute=30)


async def create(store: SupabaseStore, prebooking_id: UUID | None = None) -> Transition:
    now = datetime.now(UTC)
    data = {"day": f"{now + timedelta(days=4):%Y%m%d}", "id": "501"}
    return await store.create(prebooking_id or uuid4(), ANA, BOX, data, now, limits=LIMITS)


async def claim(store: SupabaseStore, prebooking_id: UUID) -> Claim:
    claimed = await store.claim(prebooking_id, uuid4(), 1, horizon_s=5, max_attempts=5, lease_s=5)
    assert isinstance(claimed, Claim)
    return claimed


async def test_what_is_created_comes_back_typed(store: SupabaseStore) -> None:
    prebooking_id = uuid4()
    created = await create(store, prebooking_id)
    assert created.outcome == "created"
    assert created.prebooking
    assert created.prebooking.id == prebooking_id
    assert created.prebooking.status is Status.PENDING
    assert created.prebooking.available_at.tzinfo
    (listed,) = await store.list(ANA)
    assert listed == created.prebooking


@pytest.mark.parametrize("kind", ["unavailable", "blank", "drop", "lose_answer"])
async def test_a_passing_failure_is_repeated_and_what_was_done_not_done_twice(
    store: SupabaseStore, gateway: Gateway, database: asyncpg.Connection, kind: Any
) -> None:
    gateway.faults.set(Fault(kind=kind, times=2))
    assert (await create(store)).outcome == "created"
    assert await database.fetchval("select count(*) from public.prebookings") == 1


async def test_a_lasting_failure_is_the_databases_and_is_told_soon(store: SupabaseStore, gateway: Gateway) -> None:
    gateway.faults.set(Fault(kind="unavailable", times=None))
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="create_prebooking"):
        await create(store)
    assert time.monotonic() - started < 1


async def test_a_claim_is_given_up_after_a_second_and_a_half(store: SupabaseStore, gateway: Gateway) -> None:
    gateway.faults.set(Fault(kind="delay", seconds=5, times=None))
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        await store.claim(uuid4(), uuid4(), 1, horizon_s=5, max_attempts=5, lease_s=5)
    assert time.monotonic() - started < 2


async def test_a_slow_first_try_is_given_up_for_a_second_one(store: SupabaseStore, gateway: Gateway) -> None:
    gateway.faults.set(Fault(kind="delay", seconds=5))
    assert (await create(store)).outcome == "created"


async def test_a_wrong_key_is_no_passing_failure(gateway: Gateway) -> None:
    gateway.faults.set()
    async with open_store(gateway.url, "sb_secret_of_somebody_else", "a replica") as store:
        with pytest.raises(StoreUnavailableError) as failed:
            await store.check()
    assert "sb_secret_of_somebody_else" not in str(failed.value)


async def test_a_function_that_is_missing_is_told_by_the_check(
    store: SupabaseStore, database: asyncpg.Connection
) -> None:
    await store.check()
    await database.execute("alter function public.sweep_prebookings rename to sweep_prebookings_gone")
    try:
        with pytest.raises(StoreUnavailableError):
            await store.check()
    finally:
        await database.execute("alter function public.sweep_prebookings_gone rename to sweep_prebookings")


async def insert_session(database: asyncpg.Connection, cookies: str) -> None:
    await database.execute(
        "insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)"
        " values ($1, 'the-token', $2, 'the-print', 'background')",
        ANA,
        cookies,
    )


async def test_a_claim_brings_the_session_and_never_shows_its_secrets(
    store: SupabaseStore, database: asyncpg.Connection
) -> None:
    await insert_session(database, '[{"name": "amhrdrauth", "value": "the-cookie"}]')
    created = await create(store)
    assert created.prebooking
    claimed = await claim(store, created.prebooking.id)
    assert claimed.session
    assert claimed.session.cookies == (Cookie("amhrdrauth", "the-cookie"),)
    assert (claimed.session.token, claimed.session.fingerprint) == ("the-token", "the-print")
    assert not any(secret in repr(claimed) for secret in ("the-token", "the-cookie", "the-print"))
    assert (claimed.begun, claimed.settle_only, claimed.parks) == (False, False, 0)


@pytest.mark.parametrize("cookies", ["null", '"x"', "[3]", '[{"name": "amhrdrauth"}]'])
async def test_cookies_that_cannot_be_read_are_no_session(
    store: SupabaseStore, database: asyncpg.Connection, cookies: str
) -> None:
    await insert_session(database, cookies)
    created = await create(store)
    assert created.prebooking
    assert (await claim(store, created.prebooking.id)).session is None


async def test_a_refreshed_session_is_kept_by_compare_and_set(
    store: SupabaseStore, database: asyncpg.Connection
) -> None:
    await insert_session(database, '[{"name": "amhrdrauth", "value": "the-cookie"}]')
    lease = uuid4()
    leased = await store.lease_session(ANA, "the-token", lease, lease_s=10)
    assert leased.outcome == "leased"
    assert leased.session
    assert (await store.lease_session(ANA, "the-token", uuid4(), lease_s=10)).outcome == "busy"
    cookies = (Cookie("amhrdrauth", "a-new-cookie"),)
    saved = await store.save_session(leased.session, lease, token="a-new-token", cookies=cookies)
    assert saved.outcome == "saved"
    assert saved.session
    assert (saved.session.token, saved.session.cookies) == ("a-new-token", cookies)
    changed = await store.lease_session(ANA, "the-token", uuid4(), lease_s=10)
    assert (changed.outcome, changed.session and changed.session.token) == ("changed", "a-new-token")


async def test_of_many_claims_at_once_one_is_given(store: SupabaseStore) -> None:
    created = await create(store)
    assert created.prebooking
    prebooking_id = created.prebooking.id
    answers = await asyncio.gather(
        *(store.claim(prebooking_id, uuid4(), 1, horizon_s=5, max_attempts=5, lease_s=5) for _ in range(30))
    )
    assert sum(isinstance(answer, Claim) for answer in answers) == 1
    assert {answer.outcome for answer in answers if isinstance(answer, Transition)} == {"held"}


@pytest.mark.parametrize("crowd_of", ["claim_prebooking", "finish_booking"])
async def test_a_begin_does_not_wait_behind_a_crowd_of_claims_or_results(
    store: SupabaseStore, gateway: Gateway, crowd_of: str
) -> None:
    created = await create(store)
    assert created.prebooking
    prebooking_id, token = created.prebooking.id, uuid4()
    await store.claim(prebooking_id, token, None, horizon_s=0, max_attempts=5, lease_s=5)
    gateway.faults.set(Fault(kind="delay", function=crowd_of, seconds=0.3, times=1000))

    def one() -> Coroutine[Any, Any, object]:
        if crowd_of == "claim_prebooking":
            return store.claim(prebooking_id, uuid4(), None, horizon_s=0, max_attempts=5, lease_s=5)
        return store.finish(uuid4(), uuid4(), success=True, outcome="booked", message="", result={})

    crowd = [asyncio.create_task(one()) for _ in range(40)]
    await asyncio.sleep(0)
    begun = await store.begin(prebooking_id, token, lease_s=20, max_attempts=5, settled=False, learnt={})
    assert begun.outcome == "begun"
    assert sum(call.done() for call in crowd) <= 8  # the connections
    for call in crowd:
        call.cancel()


async def test_a_claim_does_not_wait_behind_a_crowd_of_pages(store: SupabaseStore, gateway: Gateway) -> None:
    created = await create(store)
    assert created.prebooking
    gateway.faults.set(Fault(kind="delay", function="list_prebookings", seconds=0.3, times=1000))
    crowd = [asyncio.create_task(store.list(ANA)) for _ in range(40)]
    await asyncio.sleep(0)
    await claim(store, created.prebooking.id)
    assert sum(listing.done() for listing in crowd) <= 8  # the connections
    for listing in crowd:
        listing.cancel()


async def test_a_claim_waits_in_line_for_its_turn_and_its_clock_starts_when_it_is_sent(
    store: SupabaseStore, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SupabaseRpc, "call", partialmethod(SupabaseRpc.call, queue_s=0.1))
    created = await create(store)
    assert created.prebooking
    gateway.faults.set(Fault(kind="delay", function="list_prebookings", seconds=0.6, times=8))
    asked = clock.monotonic()
    in_front = [asyncio.create_task(store.list(ANA)) for _ in range(8)]
    await asyncio.sleep(0)
    claiming = asyncio.create_task(
        store.claim(created.prebooking.id, uuid4(), None, horizon_s=0, max_attempts=5, lease_s=5)
    )
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailableError, match=r"no connection was free"):
        await store.list(ANA)
    claim = await claiming
    assert isinstance(claim, Claim)
    assert claim.sent_at - asked > 0.5
    await asyncio.gather(*in_front)


async def test_a_class_by_its_hour_and_name_comes_back_typed(store: SupabaseStore) -> None:
    opening = datetime.now(UTC)
    data = {"day": f"{opening + timedelta(days=4):%Y%m%d}"}
    wished = WishedClass(starts="18:00", name="WOD")
    created = await store.create(uuid4(), ANA, BOX, data, opening, limits=LIMITS, wished=wished)
    assert created.prebooking
    assert created.prebooking.class_ == WishedClass(starts="18:00", name="WOD", time_zone="Europe/Madrid")
