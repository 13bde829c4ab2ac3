"""What QStash, the sweep, the gym and time do."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.reliability.machine.environment import LEAD_S, Delivery
from tests.reliability.machine.history import Row
from tests.reliability.machine.user_rules import ACTIVE, UserRules, classes, openings, picks
from tests.support import signing
from tests.support.world import BOX

from prebooking_local.aimharder import GymClass

# How long somebody watches what is under way before going on beside it; None: to its end.
waits = st.sampled_from([None, None, 0.05, 1.2, 3.0])
# When a row is executed: by a message that is ahead of the opening or behind it, or by the sweep.
occasions = st.sampled_from(["message", "late message", "sweep"])


class ExternalRules(UserRules):
    def waiting(self, pick: int) -> Row:
        """One that is to be executed."""
        row = self.row(pick, *ACTIVE)
        return row if row.active else self.new_row()

    def execute(self, row: Row, occasion: str) -> Delivery:
        """Sends for its execution, at the next instant at which it can be."""
        if row.status == "executing":
            self.go_to(row.instant("lease_until") or row.opening)
        else:
            ahead = LEAD_S if occasion == "message" else -1.1
            self.go_to(max(row.opening, row.instant("retry_at") or row.opening) - timedelta(seconds=ahead))
        version = self.model.rows[row.id].version
        if occasion == "sweep":
            return self.environment.deliver(signing.SWEEP, b"")
        return self.environment.wake(row.id, version)

    @rule(pick=picks, occasion=occasions)
    def execute_undisturbed(self, pick: int, occasion: str) -> None:
        self.execute(self.waiting(pick), occasion)
        self.run(self.environment.wait(None))

    @rule(pick=picks, copies=st.integers(1, 2), wait=waits)
    def deliver(self, pick: int, copies: int, wait: float | None) -> None:
        row = self.waiting(pick)
        for _ in range(copies):
            self.execute(row, "message")
        self.run(self.environment.wait(wait))

    @rule(pick=picks, shift=st.sampled_from([0, -1, 1]))
    def deliver_now(self, pick: int, shift: int) -> None:
        """Early, late, after the end, for another version: whenever QStash likes."""
        self._deliver_now(self.row(pick), shift)

    @rule(pick=picks, opens_in=openings)
    def deliver_what_was_moved(self, pick: int, opens_in: float) -> None:
        """The old message could not be deleted, and is delivered for the earlier opening."""
        self.reschedule(pick, opens_in, active=True)
        self._deliver_now(self.row(pick, *ACTIVE), -1)

    def _deliver_now(self, known: Row, shift: int) -> None:
        delivery = self.environment.wake(known.id, max(1, known.version + shift))
        delivery.is_old = (delivery.version or 0) < known.version
        self.run(self.environment.wait(None, [delivery]))

    @rule(pick=picks, shift=st.sampled_from([0, 0, -1]))
    def give_up_delivering(self, pick: int, shift: int) -> None:
        known = self.row(pick)
        callback = signing.callback_of(known.id, max(1, known.version + shift))
        self.run(self.environment.wait(None, [self.environment.deliver(signing.FAILED, callback)]))

    @rule(wait=waits)
    def sweep(self, wait: float | None) -> None:
        self.environment.deliver(signing.SWEEP, b"")
        self.run(self.environment.wait(wait))

    @rule(class_id=classes, change=st.sampled_from(["filled", "emptied", "cancelled", "taken up again"]))
    def a_class_changes(self, class_id: int, change: str) -> None:
        self.ledger.incidents |= {"class filled", "class cancelled"} & {f"class {change}"}
        gym_class: GymClass = self.gym.gym.classes[BOX.slug, class_id]
        match change:
            case "filled":
                self.gym.gym.fill_class(BOX.slug, class_id)
            case "emptied":
                gym_class.others = 0
            case "cancelled":
                gym_class.cancelled_id = 1
            case _:
                gym_class.cancelled_id = None

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5, 6.0, 21.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.environment.pass_time(seconds))

    @rule(pick=picks, column=st.sampled_from(["available_at", "lease_until", "retry_at"]))
    def the_instant_comes(self, pick: int, column: str) -> None:
        at = self.row(pick, *ACTIVE).instant(column)
        if at is not None:
            self.go_to(at)

    @rule(pick=picks, hours=st.sampled_from([0, 24]))
    def its_end_comes(self, pick: int, hours: int) -> None:
        row = self.row(pick, *ACTIVE)
        if row.active and row.give_up_at - self.now() < timedelta(days=1):
            self.go_to(row.give_up_at + timedelta(hours=hours))
