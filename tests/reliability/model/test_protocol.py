"""The protocol explored whole: whatever is killed, lost, repeated, delayed or refused, its invariants hold.

MODEL_BOUNDS=large explores some millions of worlds instead; `pytest -s` shows how many.
"""

import os
from time import perf_counter

import pytest
from tests.reliability.model.exploration import explore
from tests.reliability.model.world import HARD, Bounds, Model, Outside

LAGS = Outside(books_twice=False, listing_lags=True)
LARGE = os.environ.get("MODEL_BOUNDS") == "large"

# What is explored, and how many worlds there are at least: fewer would mean that something can't happen any more.
SUITE = {
    "two workers": (HARD, Bounds(), 45_000),
    "two workers, the listing lags": (LAGS, Bounds(), 60_000),
    "a user who changes it": (HARD, Bounds(workers=1, versions=2), 14_000),
    "calls that come late": (HARD, Bounds(workers=1, late_calls=1), 35_000),
    "a class that is wished twice": (HARD, Bounds(wished_twice=True), 100_000),
}
WORLDS = {
    "three attempts": (HARD, Bounds(attempts=3), 100_000),
    "three workers": (HARD, Bounds(workers=3), 200_000),
    "a user who changes it": (HARD, Bounds(versions=2), 350_000),
    "a user who changes it, the listing lags": (LAGS, Bounds(versions=2), 400_000),
    "calls that come late": (HARD, Bounds(late_calls=1), 600_000),
    "calls that come late, the listing lags": (LAGS, Bounds(late_calls=1), 700_000),
    "a user who changes it, calls that come late": (HARD, Bounds(workers=1, versions=2, late_calls=1), 230_000),
}
EXPLORED = WORLDS if LARGE else SUITE


@pytest.mark.parametrize("name", EXPLORED)
def test_no_fault_makes_it_book_twice_lie_or_get_stuck(name: str) -> None:
    outside, bounds, least = EXPLORED[name]
    started = perf_counter()

    found = explore(Model(outside=outside, bounds=bounds))

    took = perf_counter() - started
    print(f"\n{name}: {len(found.worlds):,} worlds, {found.transitions:,} steps, {took:.1f} s")  # noqa: T201
    assert found.violation is None, str(found.violation)
    assert len(found.worlds) >= least
    rows = [world.row for world in found.worlds if world.row]
    assert {row.status for row in rows} == {"pending", "executing", "completed", "failed", "cancelled"}
    assert {row.outcome for row in rows} >= {"booked", "failed", "expired", "attempts_exhausted", "outcome_unknown"}
