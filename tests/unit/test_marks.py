"""Each name in the lists of conftest.py is a file or a folder: after a rename its tests would lose their mark."""

from pathlib import Path

import pytest
from tests import conftest

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", sorted(conftest._IN_REAL_TIME | conftest._NO_SECOND_TRY | conftest._PROOFS))
def test_each_name_that_gives_a_mark_exists(name: str) -> None:
    assert list(TESTS.rglob(name))
