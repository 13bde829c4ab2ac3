"""Whatever a stranger makes up, only the documented errors come out of what reads it."""

import pytest
from tests.fuzz import deliveries, gyms, users
from tests.fuzz.campaign import fuzz

TARGETS = deliveries.TARGETS | gyms.TARGETS | users.TARGETS


@pytest.mark.parametrize("what", TARGETS)
def test_it_is_read_or_refused_as_documented(what: str) -> None:
    target, inputs = TARGETS[what]
    print(f"{fuzz(target, inputs)} inputs: {what}")  # noqa: T201


def test_a_parser_that_breaks_is_found() -> None:
    def fragile(data: bytes) -> None:
        if b"\\ud800" in data:
            raise LookupError

    _, inputs = TARGETS["a listing"]
    with pytest.raises(LookupError) as found:
        fuzz(fragile, inputs, seconds=30)
    assert "seed of the round" in str(found.value.__notes__)
