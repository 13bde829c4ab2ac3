"""Those who share an opening begin one after another, and the last of them in time."""

from contextlib import ExitStack
from itertools import pairwise

import pytest

from prebooking.usecases.booking.begin_stagger import BeginStagger


def test_the_more_wait_for_an_opening_the_earlier_the_next_one_begins() -> None:
    stagger = BeginStagger()
    with ExitStack() as waiting:
        ahead = [waiting.enter_context(stagger.take(1000.0)) for _ in range(1000)]
        assert ahead[0] == 1.5
        assert all(later - earlier == pytest.approx(0.005) for earlier, later in pairwise(ahead))
        assert waiting.enter_context(stagger.take(2000.0)) == 1.5


def test_who_waits_no_more_makes_nobody_early_and_leaves_nothing_behind() -> None:
    stagger = BeginStagger()
    with pytest.raises(ZeroDivisionError), stagger.take(1000.0):
        raise ZeroDivisionError
    with stagger.take(1000.0) as ahead_s:
        assert ahead_s == 1.5
    assert not stagger._waiting
