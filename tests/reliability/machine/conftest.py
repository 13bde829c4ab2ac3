"""The stage, opened once for all runs of a module."""

from collections.abc import Iterator

import pytest
from tests.reliability.machine.play import Play, open_play

from prebooking_local.postgres import Postgres


@pytest.fixture(scope="module")
def play(server: Postgres) -> Iterator[Play]:
    with open_play(server) as opened:
        yield opened
