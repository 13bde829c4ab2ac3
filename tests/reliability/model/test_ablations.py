"""Each rule of the protocol is needed: without it the exploration finds the promise that breaks, and tells how.

The bounds are those of test_protocol.py, where nothing breaks. `pytest -s` shows the stories.
"""

import pytest
from tests.reliability.model.ablations import ABLATIONS
from tests.reliability.model.exploration import Exploration, explore
from tests.reliability.model.test_protocol import LARGE
from tests.reliability.model.world import Bounds, Model, Outside


def assert_broken(found: Exploration, invariant: str, what: str) -> None:
    print(f"\n{what} ({len(found.worlds):,} worlds): {found.violation}")  # noqa: T201  # the story is the point
    assert found.violation is not None
    assert found.violation.invariant == invariant


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.skipif(not LARGE, reason="150,000 worlds: MODEL_BOUNDS=large")])
        if ablation.late_calls
        else name
        for name, ablation in ABLATIONS.items()
    ],
)
def test_without_a_rule_a_promise_breaks(name: str) -> None:
    ablation = ABLATIONS[name]
    bounds = Bounds(
        workers=ablation.workers,
        late_calls=ablation.late_calls,
        wished_twice=ablation.wished_twice,
        alike=False,
    )  # so that names stay the same in the story

    found = explore(Model(ablation.protocol, ablation.outside, bounds), ablation.caught_by)

    assert_broken(found, ablation.caught_by, name)


ASSUMED = {
    "a request arrives after its begin's lease": (Outside(requests_dawdle=True), "booked_at_most_once"),
    "also where the gym books once an hour": (
        Outside(requests_dawdle=True, books_twice=False),
        "failed_means_not_booked",
    ),
    "the listing lags behind a 500, and the gym books twice": (Outside(listing_lags=True), "booked_at_most_once"),
}


@pytest.mark.parametrize("name", ASSUMED)
def test_what_is_assumed_of_the_outside_is_needed(name: str) -> None:
    outside, invariant = ASSUMED[name]

    assert_broken(explore(Model(outside=outside, bounds=Bounds(alike=False)), invariant), invariant, name)
