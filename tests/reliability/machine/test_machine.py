"""Prebookings under whatever Hypothesis thinks of: a state machine over HTTP, on real Postgres, in virtual time.

By default it does a few runs, always the same ones. MACHINE_RUNS, MACHINE_STEPS and MACHINE_SEED choose others.
"""

import os
import secrets

from tests.reliability.machine.fault_rules import FaultRules
from tests.reliability.machine.runner import Runner, run_machine


def test_no_prebooking_is_lost_or_booked_twice_or_ends_for_a_false_reason(runner: Runner) -> None:
    runs, steps = int(os.environ.get("MACHINE_RUNS", "0")), int(os.environ.get("MACHINE_STEPS", "30"))
    number = int(os.environ.get("MACHINE_SEED", secrets.randbelow(2**32))) if runs else None
    print(f"MACHINE_SEED={number}")  # noqa: T201  # to repeat the same runs
    run_machine(lambda: FaultRules(runner), runs=runs or 30, steps=steps, number=number)
