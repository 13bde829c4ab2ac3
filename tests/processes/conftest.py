"""Everything but the service, as processes; a test starts the service as it needs it."""

from collections.abc import AsyncIterator

import pytest
from tests.processes.one_wish import ANA, BOX

from prebooking_local.stack import UNLIMITED, Ports, Stack, outside


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with outside(Ports(0, 0, 0, 0), LOG_LEVEL="ERROR", **UNLIMITED) as running:
        await running.control(running.aimharder_url, "boxes", BOX)
        await running.enrol([ANA])
        yield running
