"""The checks after each step, and how a run must end."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from math import floor
from typing import Any, TypeVar, cast

import httpx
from hypothesis.stateful import RuleBasedStateMachine, invariant
from tests.reliability.machine.environment import LEAD_S, MAX_DURATION_S, Delivery
from tests.reliability.machine.gym_setup import CLASSES, ROOMY
from tests.reliability.machine.history import Change, Row, shown
from tests.reliability.machine.ledger_checker import LedgerChecker
from tests.reliability.machine.model import UNAVAILABLE, Answer, Model, check_problem
from tests.reliability.machine.runner import Runner
from tests.support import signing

_T = TypeVar("_T")

ANSWERED_WITHIN_S = MAX_DURATION_S - 1.5
LATER = {"held", "not-due", "retry-later"}
# What an old message is not answered, since nothing is left to wake; and what it is answered.
WAITING = {"held", "not-due"}
NOTHING_TO_DO = {"stale", "already_finished", "cancelled"}
# A row is answered as it was made; its message comes after.
_OF_THE_MESSAGE = ("qstash_schedule_id", "updated_at")
_ROUNDS = 12


class Checks(RuleBasedStateMachine):
    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.environment = runner.environment
        self._run = runner.run
        self.run(self.environment.begin())
        self.gym = self.environment.world.gym
        self.model = Model()
        self.ledger = LedgerChecker(self.gym)
        self.faulty: set[str] = set()  #: the SQL functions whose calls may have been in trouble
        self._changed: list[Row] = []

    # ---- asking

    def run(self, asked: Coroutine[Any, Any, _T]) -> _T:
        return cast("_T", self._run(asked))

    def now(self) -> datetime:
        return self.environment.clock.now()

    def sync(self, asked: str | None = None) -> list[Change]:
        """Takes in what has become of the rows. `asked`: the function behind what a user has just asked for."""
        changes = self.run(self.environment.changes())
        for change in changes:
            self.model.apply(change, asked)
            self._check_message(change)
        self.ledger.observe(changes)
        self._changed += [change.new for change in changes]
        return changes

    def ask_about(
        self,
        row: Row,
        function: str,
        method: str,
        path: str,
        right: Callable[[Row, datetime], Iterable[Answer]],
        **content: Any,
    ) -> None:
        """Asks for a change of that row, and checks the answer. `right`: what is right to say in a state, at a time."""
        asked_at, states = self.now(), [row]
        answer = self.run(self.environment.ask(row.email, method, f"/prebookings/{row.id}{path}", **content))
        changes = self.sync(asked=function)
        states += [c.new for c in changes if c.new.id == row.id and c.function != function]
        expected = {one for state in states for at in (asked_at, self.now()) for one in right(state, at)}
        self.check_answer(answer, function, expected, [c.new for c in changes if c.function == function], states)

    def check_answer(
        self, answer: httpx.Response, function: str, expected: set[Answer], made: list[Row], states: list[Row]
    ) -> None:
        """`made`: what the call itself has changed. `states`: in which it may have found the row."""
        body = answer.json()
        said = (answer.status_code, None if answer.is_success else body["code"])
        assert said in expected or (said == UNAVAILABLE and function in self.faulty), (said, expected, answer.text)
        assert len(made) <= 1, made
        if not answer.is_success:
            check_problem(answer)
            assert not made or said == UNAVAILABLE, made
            return
        right = [_as_made(row.shown) for row in made or states]
        assert _as_made(shown(body)) in right, (body, right)

    # ---- what holds after each step

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.sync()
        for delivery in self.environment.answered():
            self._check_delivery(delivery)
        changed, self._changed = self._changed, []
        for row in {row.id: row for row in changed}.values():
            self.ledger.check_requests(row)
        for email in sorted({row.email for row in changed}):
            self._check_list(email)

    def _check_list(self, email: str) -> None:
        """The API shows what the database has; a row that is created meanwhile, perhaps."""
        states = {row.id: [row] for row in self.model.of(email)}
        before = set(states)
        answer = self.run(self.environment.ask(email, "GET", "/prebookings?limit=100"))
        for change in self.sync():
            states.setdefault(change.new.id, []).append(change.new)
        assert answer.is_success, answer.text
        rows = answer.json()["prebookings"]
        newest_first = sorted(states, key=lambda known: (states[known][0].image["created_at"], known), reverse=True)
        listed = [row["id"] for row in rows]
        assert listed == [known for known in newest_first if known in listed]
        assert before <= set(listed)
        for row in rows:
            right = [state.shown for state in states[row["id"]]]
            assert shown(row) in right, (row, right)

    def _check_message(self, change: Change) -> None:
        """The message on a row is for that row, that version and that opening."""
        if change.function != "attach_message":
            return
        row = change.new
        message = self.environment.message(row.image["qstash_schedule_id"])
        assert json.loads(message.order.body) == {"prebooking_id": row.id, "version": row.version}, change
        assert message.not_before == floor(row.opening.timestamp()) - LEAD_S, change

    def _check_delivery(self, delivery: Delivery) -> None:
        answer = delivery.asked.result()
        assert delivery.took_s <= ANSWERED_WITHIN_S, (delivery, answer.text)
        if delivery.killed:
            return
        if not answer.is_success:
            check_problem(answer)
            code = answer.json()["code"]
            assert code in LATER or (code == UNAVAILABLE[1] and self.faulty), answer.text
            assert delivery.path == signing.EXECUTE or code == UNAVAILABLE[1], answer.text
            assert not delivery.is_old or code not in WAITING, answer.text
        elif delivery.path == signing.EXECUTE:
            # A 2xx ends the message: nothing may be left for it to wake.
            row = self.model.rows[delivery.prebooking_id or ""]
            assert not row.active or row.version != delivery.version, (answer.text, row.image)
            assert not delivery.is_old or answer.json()["outcome"] in NOTHING_TO_DO, answer.text

    # ---- how it ends

    def teardown(self) -> None:
        """Clears the faults and sweeps while time passes: then everything must have ended, for a true reason."""
        if sys.exc_info()[0] is not None:  # it has failed already
            self.run(self.environment.kill())
            self.run(self.environment.wait(None))
            return
        self.run(self.environment.clear_faults())
        self.run(self.environment.wait(None))
        self.nothing_is_wrong()
        hopeful = [row.id for row in self.model.rows.values() if self.nothing_speaks_against(row)]
        for horizon in (timedelta(), timedelta(hours=24)):
            self._sweep_until_all_has_ended()
            for row in self.active():
                self.go_to(row.give_up_at + horizon)
        self._sweep_until_all_has_ended()
        assert not self.active(), f"stuck: {[row.image for row in self.active()]}"
        for row_id in hopeful:
            row = self.model.rows[row_id]
            assert row.status == "completed", f"lost: {row.image}"

    def active(self) -> list[Row]:
        return [row for row in self.model.rows.values() if row.active]

    def nothing_speaks_against(self, row: Row) -> bool:
        """That it will be booked: a fresh row, a living session, a class with room, no other place at that hour."""
        incidents, (email, class_id, family_id) = self.ledger.incidents, row.wish
        others = [(email, str(other), family_id) for other in CLASSES]
        return (
            (row.status, row.image["attempts"], class_id) == ("pending", 0, str(ROOMY))
            and max(self.now(), row.opening) + timedelta(minutes=1) < row.give_up_at
            and not incidents & {"class filled", "class cancelled", f"{email} signed out"}
            and not any(self.ledger.holds(wish) for wish in others)
            and not any(other.id != row.id for wish in others for other in self.model.active(wish))
        )

    def _sweep_until_all_has_ended(self) -> None:
        for _ in range(_ROUNDS):
            if not self.active():
                return
            self.go_to(min(_next_try(row) for row in self.active()) + timedelta(milliseconds=1))
            self.environment.deliver(signing.SWEEP, b"")
            self.run(self.environment.wait(None))
            self.nothing_is_wrong()

    def go_to(self, instant: datetime) -> None:
        seconds = (instant - self.now()).total_seconds()
        if seconds > 0:
            self.run(self.environment.skip(seconds))


def _as_made(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _OF_THE_MESSAGE}


def _next_try(row: Row) -> datetime:
    """When the sweep may take it at the earliest."""
    if row.status == "executing":
        return row.instant("lease_until") or row.opening
    instants = (row.instant("retry_at"), row.instant("armed_at"), row.opening - timedelta(seconds=LEAD_S / 2))
    first = max(instant for instant in instants if instant is not None)
    return max(first, (row.instant("armed_at") or first) + timedelta(seconds=1))
