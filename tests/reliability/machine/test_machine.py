"""Prebookings under whatever Hypothesis thinks of: a state machine over HTTP, on real Postgres, in leaping time.

In the suite it plays a few runs, always the same ones. MACHINE_RUNS, MACHINE_STEPS and MACHINE_SEED play others.
"""

import os
import secrets

from tests.reliability.machine.play import Play, play_runs
from tests.reliability.machine.troubles import Troubles


def test_no_prebooking_is_lost_or_booked_twice_or_told_wrong(play: Play) -> None:
    runs, steps = int(os.environ.get("MACHINE_RUNS", "0")), int(os.environ.get("MACHINE_STEPS", "30"))
    number = int(os.environ.get("MACHINE_SEED", secrets.randbelow(2**32))) if runs else None
    print(f"MACHINE_SEED={number}")  # noqa: T201  # to play the same again
    play_runs(lambda: Troubles(play), runs=runs or 30, steps=steps, number=number)
