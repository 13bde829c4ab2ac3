"""Replicas whose sweep doesn't run, so that only what a test does happens; the database's adapter alone; a webhook."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.support.webhook_receiver import Receiver, receiver
from tests.support.world import Outside, World, open_world

from prebooking.adapters.supabase.store import SupabaseStore, open_store
from prebooking_local.supabase import Gateway


@pytest.fixture
async def sweepless(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """As deployed where hosts sleep between requests."""
    async with open_world(database, *outside, sweep_seconds=0) as running:
        yield running


@pytest.fixture
async def brief(database: asyncpg.Connection, outside: Outside) -> AsyncIterator[World]:
    """With a budget of 4 s, for gyms that hang."""
    async with open_world(database, *outside, sweep_seconds=0, lead_seconds=0, max_duration_seconds=6) as running:
        yield running


@pytest.fixture
def gateway(outside: Outside) -> Gateway:
    """Supabase's, without faults."""
    outside[0].faults.set()
    return outside[0]


@pytest.fixture
async def store(database: asyncpg.Connection, gateway: Gateway) -> AsyncIterator[SupabaseStore]:
    """The service's adapter of the rows, through that gateway."""
    async with open_store(gateway.url, gateway.secret_key, "a replica") as running:
        yield running
    gateway.faults.set()


@pytest.fixture
async def webhook() -> AsyncIterator[Receiver]:
    """The receiver of the notices, for replicas with its settings."""
    async with receiver() as listening:
        yield listening
