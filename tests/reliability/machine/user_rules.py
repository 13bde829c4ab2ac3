"""What users do, over HTTP; and what they do at the gym."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.reliability.machine import model
from tests.reliability.machine.checks import Checks
from tests.reliability.machine.gym_setup import (
    ANA,
    CLASSES,
    DAY,
    FAMILY,
    MEMBERS,
    ROOMY,
    GymPolicy,
    put_up,
    put_up_another,
)
from tests.reliability.machine.history import Row
from tests.support.world import BOX

from prebooking_local.aimharder import Person

ACTIVE = ("pending", "executing")
picks = st.integers(0, 3)  # of the rows that come into question, 0 is what has changed last
# Seconds from now; the last one is too far for QStash, and past the end of what ends soon.
openings = st.sampled_from([-30.0, 0.0, 2.5, 4.0, 40.0, 3600.0, 8 * 86_400.0])
members = st.sampled_from(MEMBERS)
classes = st.sampled_from(CLASSES)
families = st.sampled_from(FAMILY)


class UserRules(Checks):
    @initialize(policy=st.sampled_from(GymPolicy), opens_in=openings)
    def a_day_begins(self, policy: GymPolicy, opens_in: float) -> None:
        self.policy = policy
        put_up(self.gym, policy)
        for email in MEMBERS:
            self.run(self.environment.sign_in(email))
        self._create(ANA, {"day": DAY, "id": ROOMY}, self._in(opens_in))

    @rule(
        email=members,
        class_id=classes,
        family_id=families,
        opens_in=openings,
        ends_soon=st.booleans(),
        as_text=st.booleans(),
    )
    def create(
        self, email: str, class_id: int, family_id: str, opens_in: float, *, ends_soon: bool, as_text: bool
    ) -> None:
        wish = {"day": DAY, "id": str(class_id) if as_text else class_id, "familyId": family_id}
        if ends_soon:
            wish["classTimeUTC"] = (self.now() + timedelta(hours=3)).isoformat()
        self._create(email, wish, self._in(opens_in))

    @rule(pick=picks, same=st.booleans(), opens_in=openings)
    def create_again(self, pick: int, opens_in: float, *, same: bool) -> None:
        known = self.row(pick)
        opening = known.opening if same else self._in(opens_in)
        self._create(known.email, known.image["booking_data"], opening)

    def _create(self, email: str, wish: dict[str, Any], opening: datetime) -> None:
        key = (email, str(wish["id"]), wish.get("familyId", ""))
        states = [row for row in self.model.rows.values() if row.wish == key]
        ends = wish.get("classTimeUTC")
        give_up_at = datetime.fromisoformat(ends) if ends else _DAY_ENDS
        asked_at = self.now()
        body = {
            "box_subdomain": BOX.slug,
            "box_aimharder_id": BOX.boid,
            "booking_data": wish,
            "available_at": opening.isoformat(),
        }
        answer = self.run(self.environment.ask(email, "POST", "/prebookings", json=body))
        changes = self.sync(asked="create_prebooking")
        made = [c.new for c in changes if c.function == "create_prebooking"]
        after = [c.new for c in changes if c.new.wish == key and c.new not in made]
        # What was active may have ended meanwhile, and the other way round.
        expected = {
            model.to_create(rows, opening, give_up_at, at)
            for rows in (states, [row for row in states if row.id not in {other.id for other in after}])
            for at in (asked_at, self.now())
        }
        self.check_answer(answer, "create_prebooking", expected, made, states + after)

    @rule(pick=picks, active=st.booleans())
    def cancel(self, pick: int, *, active: bool) -> None:
        def right(state: Row, _: datetime) -> list[model.Answer]:
            return [model.to_cancel(state)]

        self.ask_about(self.row(pick, *(ACTIVE if active else ())), "cancel_prebooking", "DELETE", "", right)

    @rule(pick=picks, active=st.booleans(), opens_in=openings)
    def reschedule(self, pick: int, opens_in: float, *, active: bool) -> None:
        opening = self._in(opens_in)

        def right(state: Row, at: datetime) -> list[model.Answer]:
            return [model.to_reschedule(state, opening, at)]

        json = {"available_at": opening.isoformat()}
        self.ask_about(
            self.row(pick, *(ACTIVE if active else ())), "reschedule_prebooking", "PATCH", "", right, json=json
        )

    @rule(pick=picks, opens_in=st.none() | openings)
    def retry(self, pick: int, opens_in: float | None) -> None:
        known = self.row(pick, "failed")
        opening = None if opens_in is None else self._in(opens_in)
        # The other one may end while it is asked.
        taken = {False, any(other.id != known.id for other in self.model.active(known.wish))}

        def right(state: Row, at: datetime) -> list[model.Answer]:
            return [model.to_retry(state, opening, at, wish_is_taken=is_taken) for is_taken in taken]

        content = {} if opening is None else {"json": {"available_at": opening.isoformat()}}
        self.ask_about(known, "retry_prebooking", "POST", "/retry", right, **content)

    @rule(pick=picks, method=st.sampled_from(["GET", "DELETE", "PATCH", "POST"]))
    def another_asks(self, pick: int, method: str) -> None:
        """Another's row looks like a missing one."""
        known = self.row(pick)
        email = next(one for one in MEMBERS if one != known.email)
        content = {"json": {"available_at": self.now().isoformat()}} if method == "PATCH" else {}
        path = f"/prebookings/{known.id}" + ("/retry" if method == "POST" else "")
        answer = self.run(self.environment.ask(email, method, path, **content))
        self.sync()
        function = {"DELETE": "cancel", "PATCH": "reschedule", "POST": "retry"}.get(method, "list") + "_prebooking"
        self.check_answer(answer, function, {model.NOT_FOUND}, [], [])

    @rule(email=members, class_id=classes, family_id=families)
    def book_by_hand(self, email: str, class_id: int, family_id: str) -> None:
        if not self.ledger.holds((email, str(class_id), family_id)):
            gym = self.gym.gym
            person, now_ns = Person(email, family_id), self.gym.site.clock()
            gym.reserve(gym.classes[BOX.slug, class_id], person, state=1, now_ns=now_ns)

    @rule(email=members)
    def sign_in(self, email: str) -> None:
        self.run(self.environment.sign_in(email))

    def row(self, pick: int, *wanted: str) -> Row:
        """One of those whose status is wanted, or of all; where there is none at all, a new one."""
        rows = list(self.model.rows.values())[::-1]
        fitting = [row for row in rows if row.status in wanted] or rows
        return fitting[pick % len(fitting)] if fitting else self.new_row()

    def new_row(self) -> Row:
        """Of a class that nobody has asked for yet; made on a calm day, so that it is there."""
        self.run(self.environment.clear_faults())
        self._create(ANA, {"day": DAY, "id": put_up_another(self.gym)}, self.now())
        return self.row(0)

    def _in(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)


_DAY_ENDS = datetime.strptime(DAY + "+0000", "%Y%m%d%z") + timedelta(hours=36)
