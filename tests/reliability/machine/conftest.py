"""The environment, opened once for all runs of a module."""

from collections.abc import Iterator

import pytest
from tests.reliability.machine.runner import Runner, open_runner

from prebooking_local.postgres import Postgres


@pytest.fixture(scope="module")
def runner(server: Postgres) -> Iterator[Runner]:
    with open_runner(server) as opened:
        yield opened
