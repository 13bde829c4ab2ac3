"""The model's invariants are the oracle's promises: of a world in which nothing is under way both say the same."""

import pytest
from tests.reliability.model.invariants import OF_WORLDS
from tests.reliability.model.row import Row as ModelRow
from tests.reliability.model.world import World
from tests.reliability.oracle import BOOKED, Facts, Row, violations

ENDS = [("completed", "booked"), ("failed", "class_full"), ("failed", "outcome_unknown"), ("cancelled", "")]


@pytest.mark.parametrize("bookings", range(3))
@pytest.mark.parametrize(("status", "outcome"), ENDS)
def test_an_ended_row_is_judged_alike(status: str, outcome: str, bookings: int) -> None:
    world = World(row=ModelRow(status=status, outcome=outcome), bookings=bookings)
    held = {str(number): BOOKED for number in range(bookings)}
    row = Row(status, outcome or None, "0" if status == "completed" else None, reason_is_true=True)

    wrong = violations(Facts([row], held))

    assert bool(wrong) is not all(holds(world) for holds in OF_WORLDS.values())
