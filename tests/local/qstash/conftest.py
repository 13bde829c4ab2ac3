from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from tests.local.qstash.qstash_world import Front, World, qstash_world


@pytest.fixture(scope="session")
async def front() -> AsyncIterator[Front]:
    """One for all tests, because starting and stopping it takes longer than most of them."""
    async with Front(Starlette()).listening() as front:
        yield front


@pytest.fixture
async def world(front: Front) -> AsyncIterator[World]:
    async with qstash_world(front) as world:
        yield world
