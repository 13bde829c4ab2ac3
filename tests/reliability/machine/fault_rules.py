"""What goes wrong between the service and its neighbours, and with itself."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.reliability.machine.external_rules import ExternalRules, occasions, waits
from tests.reliability.machine.gym_setup import MEMBERS, GymPolicy
from tests.reliability.machine.history import BY_USERS, Row
from tests.reliability.machine.model import check_problem
from tests.reliability.machine.user_rules import members, openings, picks

from prebooking_local.aimharder import Fault as GymFault
from prebooking_local.supabase import Fault as CallFault

BOOK, LISTING, WHOAMI, REFRESH = "/api/book", "/api/bookings", "/api/whoami", "/api/tokenUpdate"

EXECUTING = ["claim_prebooking", "begin_booking", "finish_booking", "release_prebooking", "park_prebooking"]
SESSIONS = ["lease_session", "save_session"]
# list_prebookings is what each step is checked with.
OTHERS = ["attach_message", "note_delivery_failure", "sweep_prebookings", *sorted(BY_USERS)]
CALLS_FAIL: list[dict[str, Any]] = [
    *({"kind": kind} for kind in ("drop", "lose_answer", "unavailable", "blank")),
    {"kind": "delay", "seconds": 0.4},
    {"kind": "delay", "seconds": 1.5},  # longer than a try may take: carried out when it has been repeated
]
ORDERS_FAIL: list[dict[str, Any]] = [
    {name: {"value": value, "on": on}}
    for on in ("publish", "cancel")
    for name, value in (
        *(("api_refused", True), ("api_hangs", True), ("api_answer_lost", True)),
        *(("api_status", 500), ("api_status", 412), ("api_limit", "daily")),
    )
]

_SAYS_NOTHING: list[dict[str, Any]] = [
    *({"kind": "status", "status": status} for status in (500, 502, 503, 504)),
    *({"kind": kind} for kind in ("hang", "reset", "truncated", "login_page", "empty", "redirect")),
]
# Carried out all the same, or not.
NO_STATEMENT = [{"path": BOOK, "handled": handled} | fault for fault in _SAYS_NOTHING for handled in (True, False)]
NO_ANSWER = [
    *({"path": path} | fault for fault in _SAYS_NOTHING for path in (LISTING, WHOAMI, REFRESH)),
    *({"kind": "slow", "seconds": 2, "path": path} for path in (BOOK, LISTING, WHOAMI, REFRESH)),
    {"kind": "refuse", "seconds": 3},
]
# A statement is believed: one that says no to what was carried out is beyond any client.
STATEMENTS: list[dict[str, Any]] = [
    *({"kind": "status", "status": status, "path": BOOK} for status in (403, 429)),
    {"kind": "html_text", "path": BOOK},
    {"kind": "clock", "seconds": -7200, "path": BOOK},
    *({"kind": "logout", "path": path} for path in (BOOK, WHOAMI, REFRESH)),
]
# At a gym that takes no token nobody survives a request that is carried out, or a booking that stays unseen, for longer
# than a begin's lease lasts: 12 s after the deadline. So these are shorter, and don't come together.
LATE: dict[str, Any] = {"kind": "late", "path": BOOK, "seconds": 8}
STALE: dict[str, Any] = {"kind": "stale", "path": LISTING, "seconds": 8}

gym_faults = st.one_of(*map(st.sampled_from, (NO_STATEMENT, NO_ANSWER, STATEMENTS, [LATE, STALE])))
several = st.integers(1, 4)


class FaultRules(ExternalRules):
    policy: GymPolicy

    @rule(function=st.sampled_from(OTHERS), fault=st.sampled_from(CALLS_FAIL), times=several)
    def calls_fail(self, function: str, fault: dict[str, Any], times: int) -> None:
        self._inject_call_fault(function, fault | {"times": times})

    @rule(
        pick=picks,
        occasion=occasions,
        wait=waits,
        function=st.sampled_from([*EXECUTING, *SESSIONS]),
        fault=st.sampled_from(CALLS_FAIL),
        times=several,
    )
    def execute_while_calls_fail(
        self, pick: int, occasion: str, wait: float | None, function: str, fault: dict[str, Any], times: int
    ) -> None:
        row = self.waiting(pick)
        if function in SESSIONS:
            self._inject_gym_fault({"kind": "logout", "path": WHOAMI, "times": 1})
        self._inject_call_fault(function, fault | {"times": times})
        self.execute(row, occasion)
        self.run(self.environment.wait(wait))

    @rule(fault=st.sampled_from(ORDERS_FAIL), times=several)
    def orders_fail(self, fault: dict[str, Any], times: int) -> None:
        self.environment.world.qstash.qstash.faults.change(
            {name: value | {"next": times} for name, value in fault.items()}
        )

    @rule(pick=picks, opens_in=openings)
    def reschedule_before_the_message_is_attached(self, pick: int, opens_in: float) -> None:
        """A second request reschedules the row while the first one still attaches its message, which is then stale."""
        row = self.row(pick, "pending")
        self._inject_call_fault("attach_message", {"kind": "delay", "seconds": 0.4, "times": 1})
        json = {"available_at": (self.now() + timedelta(hours=2)).isoformat()}
        first = self.environment.loop.create_task(
            self.environment.ask(row.email, "PATCH", f"/prebookings/{row.id}", json=json)
        )
        self.run(asyncio.sleep(0.2))
        self.sync(asked="reschedule_prebooking")
        self.reschedule(0, opens_in, active=True)
        self.run(asyncio.wait([first]))
        if not first.result().is_success:
            check_problem(first.result())

    @rule(pick=picks, occasion=occasions, wait=waits, fault=gym_faults, times=several)
    def execute_on_a_bad_day(
        self, pick: int, occasion: str, wait: float | None, fault: dict[str, Any], times: int
    ) -> None:
        row = self.waiting(pick)
        if fault in (LATE, STALE):
            fault = STALE if self.policy is GymPolicy.FORGETFUL else LATE
        if fault.get("path") == REFRESH:
            self._inject_gym_fault({"kind": "logout", "path": WHOAMI, "times": 1})
        many = times if fault is not LATE else 1
        self._inject_gym_fault({"times": None if fault["kind"] == "refuse" else many} | fault)
        self.execute(row, occasion)
        self.run(self.environment.wait(wait))

    @rule(email=members)
    def a_session_ends(self, email: str) -> None:
        self.ledger.incidents.add(f"{email} signed out")
        self.gym.accounts.kill(email, self.gym.site.clock())

    @rule()
    def all_is_calm(self) -> None:
        self.run(self.environment.clear_faults())
        self.run(self.environment.wait(None))

    # ---- the service itself

    @rule()
    def die(self) -> None:
        self.ledger.incidents.add("interrupted")
        self.run(self.environment.kill())

    @rule()
    def deploy(self) -> None:
        self.model.deployed = True
        self.run(self.environment.deploy())
        self.nothing_is_wrong()
        self.model.deployed = False

    @rule(pick=picks, occasion=occasions, function=st.sampled_from(EXECUTING), done=st.booleans())
    def die_at_the_database(self, pick: int, occasion: str, function: str, *, done: bool) -> None:
        row = self.waiting(pick)
        fault = self._inject_call_fault(function, {"kind": "lose_answer" if done else "drop", "times": 1})
        self._die_when(lambda: fault.times == 0, row, occasion)
        fault.times = 0

    @rule(
        pick=picks,
        occasion=occasions,
        path=st.sampled_from([BOOK, BOOK, LISTING, WHOAMI, REFRESH]),
        done=st.booleans(),
    )
    def die_at_the_gym(self, pick: int, occasion: str, path: str, *, done: bool) -> None:
        row = self.waiting(pick)
        if path == REFRESH:
            self._inject_gym_fault({"kind": "logout", "path": WHOAMI, "times": 1})
        number, faults = (
            self._inject_gym_fault({"kind": "hang", "path": path, "handled": done, "times": 1}),
            self.gym.faults,
        )
        self._die_when(lambda: number not in faults.active, row, occasion)
        faults.active.pop(number, None)

    @rule(seconds=st.sampled_from([2.0, 9.0, 25.0]))
    def everything_stops(self, seconds: float) -> None:
        """As a suspended process does: it goes on in the middle of what it was doing."""
        self.faulty.add("time")
        self.ledger.incidents |= {"interrupted", "gym_unreachable"}
        self.run(self.environment.stop(seconds))

    def _die_when(self, reached: Callable[[], bool], row: Row, occasion: str) -> None:
        delivery = self.execute(row, occasion)
        self.run(self.environment.until(lambda: reached() or delivery.asked.done()))
        self.die()

    # ---- and what it may explain

    def _inject_call_fault(self, function: str, fault: dict[str, Any]) -> CallFault:
        self.faulty.add(function)
        self.ledger.incidents.add("interrupted")
        if function in SESSIONS:
            self.ledger.incidents |= _SIGNED_OUT
        faulty = CallFault(function=function, **fault)
        self.environment.world.gateway.faults.active.insert(0, faulty)
        return faulty

    def _inject_gym_fault(self, fault: dict[str, Any]) -> int:
        kind, path = fault["kind"], fault.get("path")
        if kind == "status" and fault["status"] in (403, 429):
            self.ledger.incidents.add("blocked")
        elif kind == "html_text":
            self.ledger.incidents.add("refuses")
        elif kind not in ("logout", "clock", "stale"):
            self.ledger.incidents |= {"gym_unreachable", "interrupted"}
        if kind == "logout" or path == REFRESH:
            self.ledger.incidents |= _SIGNED_OUT
        return self.run(self.environment.inject_gym_fault(GymFault.model_validate(fault)))


_SIGNED_OUT = {f"{email} signed out" for email in MEMBERS}
