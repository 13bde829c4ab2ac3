"""What must hold: of every world, of every step, and that from every world there is a way on.

Of worlds it is what tests/reliability/oracle.py asks of ledgers (test_model_agreement.py), and more of what is still on
its way.
"""

from collections.abc import Callable, Mapping

from tests.reliability.model.row import BEFORE_THE_END, LONG_OVER, TOO_CLOSE
from tests.reliability.model.world import Step, World

OfWorlds = Callable[[World], bool]
OfSteps = Callable[[World, Step], bool]


def booked_at_most_once(world: World) -> bool:
    return world.bookings <= 1


def nothing_leaves_after_a_confirmed_cancel(world: World) -> bool:
    """Nor is anything on its way then."""
    return not (world.told_cancelled and (world.strays or any(w.at == "await" for w in world.workers)))


def completed_means_booked(world: World) -> bool:
    return world.row is None or world.row.status != "completed" or world.bookings > 0


def failed_means_not_booked(world: World) -> bool:
    """Nor can it be booked any more; but for outcome_unknown."""
    row = world.row
    return row is None or row.status != "failed" or row.outcome == "outcome_unknown" or not _perhaps_booked(world)


def unmarked_means_not_booked(world: World) -> bool:
    """Why a claim without an earlier mark may fire at once, and a row without one be cancelled."""
    row = world.row
    return row is None or row.begun_token != 0 or row.status in ("completed", "failed") or not _perhaps_booked(world)


def a_finished_row_changes_by_retry_alone(before: World, step: Step) -> bool:
    old, new = before.row, step.world.row
    if old is None or new is None or old.status not in ("completed", "failed", "cancelled"):
        return True
    if (old.status, old.outcome) == (new.status, new.outcome):
        return True
    return (old.status, new.status) == ("failed", "pending") and new.version == old.version + 1


def only_the_token_writes(before: World, step: Step) -> bool:
    """And nobody gets another token while a lease runs."""
    if step.call is None or before.row is None or before.row == step.world.row:
        return True
    if step.call.function == "claim":
        return not before.row.leased
    return before.row.claim_token == step.call.token


def nothing_begins_close_to_the_class(before: World, step: Step) -> bool:
    old, new = before.row, step.world.row
    if old is None or new is None or before.end < TOO_CLOSE:
        return True
    return new.begun_token in (0, old.begun_token)


OF_WORLDS: Mapping[str, OfWorlds] = {
    f.__name__: f
    for f in (
        booked_at_most_once,
        nothing_leaves_after_a_confirmed_cancel,
        completed_means_booked,
        failed_means_not_booked,
        unmarked_means_not_booked,
    )
}
OF_STEPS: Mapping[str, OfSteps] = {
    f.__name__: f
    for f in (a_finished_row_changes_by_retry_alone, only_the_token_writes, nothing_begins_close_to_the_class)
}


# ---- liveness: from each world of the first kind, fair steps alone can lead to one of the second


def exists(world: World) -> bool:
    return world.row is not None


def has_ended(world: World) -> bool:
    return world.row is not None and world.row.status in ("completed", "failed", "cancelled")


def is_booked_and_unfinished(world: World) -> bool:
    return _own_bookings(world) > 0 and world.end < LONG_OVER and not has_ended(world)


def is_completed(world: World) -> bool:
    return world.row is not None and world.row.status == "completed"


def is_pending_before_the_end(world: World) -> bool:
    return world.end == BEFORE_THE_END and world.row is not None and world.row.status == "pending"


LIVENESS: Mapping[str, tuple[OfWorlds, OfWorlds]] = {
    "never_stuck": (exists, has_ended),
    "what_is_booked_is_found_out": (is_booked_and_unfinished, is_completed),
    "what_is_pending_can_be_booked": (is_pending_before_the_end, is_completed),
}


def _own_bookings(world: World) -> int:
    return world.bookings - world.others_place


def _perhaps_booked(world: World) -> bool:
    return _own_bookings(world) > 0 or world.strays > 0 or any(w.at == "await" for w in world.workers)
