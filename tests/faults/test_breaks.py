"""The service broken on purpose, in copies: each break still fits the code that it breaks."""

from pathlib import Path

import pytest
from breaks import BREAKS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BREAKS)
def test_what_a_break_replaces_is_there_once(name: str) -> None:
    for change in BREAKS[name].changes:
        assert (ROOT / change.path).read_text().count(change.old) == 1, change
