"""Gives a target made-up inputs for a while, in rounds that their seeds repeat."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0.6"))  # for each target: ten in all
_A_ROUND = 100


def fuzz(target: Callable[[bytes], None], inputs: st.SearchStrategy[bytes], seconds: float = SECONDS) -> int:
    """How many inputs it was given. Raises what the target raises, with the shrunk input and the seed noted."""
    given_so_far = 0

    def one(data: bytes) -> None:
        nonlocal given_so_far
        given_so_far += 1
        target(data)

    until, number = time.monotonic() + seconds, 0
    with _quiet():
        while number == 0 or time.monotonic() < until:
            a_round = settings(
                max_examples=_A_ROUND, database=None, deadline=None, suppress_health_check=list(HealthCheck)
            )(given(inputs)(one))
            try:
                seed(number)(a_round)()
            except Exception as exc:
                exc.add_note(f"seed of the round: {number}")
                raise
            number += 1
    return given_so_far


@contextmanager
def _quiet() -> Iterator[None]:
    """Each input that is refused would be a line in the log."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
