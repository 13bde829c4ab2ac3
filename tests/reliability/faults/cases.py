"""The cases of the matrix: each point in what the service is doing when it comes there, each fault, each time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.reliability.faults import degraded_scenarios, scenarios, series_scenarios, sign_in_scenarios
from tests.reliability.faults.failpoints import Action
from tests.reliability.faults.fault_injection import Occurrence, Scenario
from tests.reliability.faults.gym import LAX

_CREATE = Scenario(scenarios.create)
_CANCEL = Scenario(scenarios.cancel, opens_in_s=8, cancels=True)
_RESCHEDULE = Scenario(scenarios.reschedule, opens_in_s=12)
_GIVE_BACK = Scenario(scenarios.give_back, opens_in_s=-1, gives_back=True)
_RETRY = Scenario(scenarios.retry, opens_in_s=-1, signed_in=False)
_MAKE_SERIES, _LIST_SERIES, _CHANGE_SERIES, _END_SERIES = (
    Scenario(act, opens_in_s=600, cancels=True, past_opening=False)
    for act in (series_scenarios.make, series_scenarios.look, series_scenarios.change, series_scenarios.end)
)
_LIST = Scenario(scenarios.look)
_CONNECT = Scenario(scenarios.connect, signed_in=False)
_SIGN_IN = Scenario(sign_in_scenarios.sign_in, newest_session_stays=True)
_SIGN_IN_AGAIN = Scenario(sign_in_scenarios.sign_in_again, may_fail="session_expired")
_SIGN_IN_AGAIN_LATE = Scenario(sign_in_scenarios.sign_in_again_late, may_fail="session_expired")
_LOOK_AT_SESSION = Scenario(scenarios.look_at_session)
_DISCONNECT = Scenario(scenarios.disconnect)
_NOTE = Scenario(scenarios.note, opens_in_s=4)
_EXECUTE = Scenario(scenarios.execute)
_FAIL = Scenario(scenarios.fail, may_fail="class_not_found")
_RELEASE = Scenario(scenarios.release)
_PARK = Scenario(scenarios.park)
_REFRESH = Scenario(scenarios.refresh, may_fail="session_expired")
_SWEEP = Scenario(scenarios.sweep, sweeps=True)
_REFRESH_SLOWLY = Scenario(degraded_scenarios.refresh_slowly, may_fail="session_expired")
_LOOK_AFTER = Scenario(degraded_scenarios.look_after, opens_in_s=600, cancels=True, past_opening=False, sweeps=True)
_EXECUTE_UNSURE = Scenario(degraded_scenarios.execute_unsure)
_EXECUTE_EARLY = Scenario(degraded_scenarios.execute_early)
_EXECUTE_IDLE = Scenario(degraded_scenarios.execute_idle)
_EXECUTE_BY_HOUR = Scenario(scenarios.execute, by_hour=True)
_EXECUTE_TWICE = Scenario(scenarios.execute_twice, box=LAX)
_EXECUTE_LATE_AT_NAMES = Scenario(degraded_scenarios.execute_late_at_names)
_EXECUTE_WITHOUT_NAMES = Scenario(degraded_scenarios.execute_without_names)

#: What each point meets. A deploy is met where a session is rotated: elsewhere tests/operating and rolling_deploy.py.
FAULTS = (Action.KILL, Action.STOP, Action.LOSE)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the service is doing, the calls that it makes, and how each is reached."""

    name: str
    calls: tuple[str, ...]
    first: Scenario
    again: Scenario | None = None
    settling: Scenario | None = None
    faults: tuple[Action, ...] = FAULTS

    def scenario(self, when: Occurrence) -> Scenario | None:
        return {Occurrence.FIRST: self.first, Occurrence.AGAIN: self.again, Occurrence.SETTLING: self.settling}[when]


EXECUTING = Operation(
    "executing",
    (
        *("store.claim", "gym.whoami", "gym.listing", "held.ready"),
        *("store.begin", "held.fire", "held.reply", "store.finish"),
    ),
    _EXECUTE,
    replace(_EXECUTE, act=scenarios.execute_again),
    replace(_EXECUTE, act=scenarios.settle),
)
_ROTATION = ("store.lease_session", "gym.refresh", "store.save_session")
OPERATIONS = (
    Operation("creating", ("store.create",), _CREATE, _CREATE),
    Operation(
        "creating",
        ("messages.publish", "store.attach_message"),
        _CREATE,
        # What has no message is published by a sweep, after 10 s.
        Scenario(scenarios.order_again, opens_in_s=13, sweeps=True),
    ),
    Operation("cancelling", ("store.cancel", "messages.delete"), _CANCEL, _CANCEL),
    Operation(
        "rescheduling",
        ("store.reschedule", "messages.publish", "messages.delete"),
        _RESCHEDULE,
        _RESCHEDULE,
    ),
    Operation(
        "rescheduling",
        ("store.attach_message",),
        _RESCHEDULE,
        replace(_RESCHEDULE, act=scenarios.reschedule_unnoted),
    ),
    Operation("retrying", ("store.retry",), _RETRY, _RETRY),
    Operation(
        "giving back", ("store.begin_giving_back", "gym.give_back", "store.end_giving_back"), _GIVE_BACK, _GIVE_BACK
    ),
    Operation("listing", ("store.list",), _LIST, _LIST),
    Operation("making a series", ("store.create_series", "store.fill_series"), _MAKE_SERIES, _MAKE_SERIES),
    Operation("listing series", ("store.list_series",), _LIST_SERIES, _LIST_SERIES),
    Operation("changing a series", ("store.change_series",), _CHANGE_SERIES, _CHANGE_SERIES),
    Operation("filling it after a change", ("store.fill_series",), _CHANGE_SERIES),
    Operation("ending a series", ("store.end_series",), _END_SERIES, _END_SERIES),
    Operation("connecting a session", ("store.admit_check", "gym.boxes", "store.connect_session"), _CONNECT, _CONNECT),
    Operation(
        "signing in",
        ("store.admit_sign_in", "gym.login", "gym.enter", "gym.boxes", "store.store_sign_in"),
        _SIGN_IN,
        _SIGN_IN,
    ),
    Operation("signing in again", ("store.lease_sign_in", "store.save_sign_in_again"), _SIGN_IN_AGAIN, _SIGN_IN_AGAIN),
    Operation("signing in again in vain", ("store.end_sign_in_again",), _SIGN_IN_AGAIN_LATE, _SIGN_IN_AGAIN_LATE),
    Operation("looking at the session", ("store.read_session",), _LOOK_AT_SESSION, _LOOK_AT_SESSION),
    Operation("disconnecting the session", ("store.disconnect_session",), _DISCONNECT, _DISCONNECT),
    Operation("noting a failed delivery", ("store.note_delivery_failure",), _NOTE, _NOTE),
    EXECUTING,
    Operation("failing", ("store.finish",), _FAIL, _FAIL),
    Operation("releasing", ("store.release",), _RELEASE, _RELEASE),
    Operation("parking", ("store.park",), _PARK, _PARK),
    Operation("refreshing the session", _ROTATION, _REFRESH, _REFRESH, faults=tuple(Action)),
    Operation("refreshing it slowly", ("gym.refresh", "store.save_session"), _REFRESH_SLOWLY, faults=tuple(Action)),
    Operation("looking after sessions", _ROTATION, _LOOK_AFTER, faults=tuple(Action)),
    Operation("executing, the account host silent", ("store.begin", "held.fire", "store.finish"), _EXECUTE_UNSURE),
    Operation("executing, the gym late", ("held.fire", "store.release", "store.finish"), _EXECUTE_EARLY),
    Operation("executing, the gym impatient", ("held.fire", "store.finish"), _EXECUTE_IDLE),
    Operation(
        "executing by hour",
        ("store.begin", "held.fire", "held.reply", "store.finish"),
        _EXECUTE_BY_HOUR,
        replace(_EXECUTE_BY_HOUR, act=scenarios.execute_again),
        replace(_EXECUTE_BY_HOUR, act=scenarios.settle_by_hour),
    ),
    Operation(
        "executing what was wished twice",
        ("store.begin", "held.fire", "held.reply", "store.finish"),
        _EXECUTE_TWICE,
        faults=(Action.KILL, Action.LOSE),
    ),
    Operation("executing, names slow", ("held.fire", "store.finish"), _EXECUTE_LATE_AT_NAMES),
    Operation("executing, no names", ("store.release",), _EXECUTE_WITHOUT_NAMES),
    Operation("sweeping", ("store.sweep",), _SWEEP, _SWEEP),
)
#: Frozen between its last look at the clock and the write, it sends its request when it goes on: nobody can prevent it.
_RESIDUE = ("held.fire:before", Action.STOP)
#: The gym has rotated the session, and who knows the new token dies, or never hears of it.
_LOSES_SESSION = {
    ("gym.refresh:after", Action.KILL),
    ("gym.refresh:after", Action.LOSE),
    ("store.save_session:before", Action.KILL),
}
#: Of an execution: until here nothing can have been booked.
_BEFORE_BEGIN = ("store.claim", "gym.whoami", "gym.listing", "held.ready", "store.begin:before")


@dataclass(frozen=True, slots=True)
class Case:
    operation: Operation
    point: str
    action: Action
    when: Occurrence
    scenario: Scenario

    @property
    def residue(self) -> bool:
        """One request more may come when a stopped replica goes on."""
        return (self.point, self.action) == _RESIDUE

    @property
    def loses_session(self) -> bool:
        """Nobody can save what the gym has just rotated."""
        return (self.point, self.action) in _LOSES_SESSION

    @property
    def begun(self) -> bool:
        """At this point of an execution the request may leave, or has left."""
        return not (self.operation.name == "failing" or self.point.startswith(_BEFORE_BEGIN))

    def __str__(self) -> str:
        return f"{self.point} while {self.operation.name}: {self.action}, {self.when}"


def all_cases() -> Iterator[Case]:
    """All of them."""
    for operation in OPERATIONS:
        for call in operation.calls:
            for point in (f"{call}:before", f"{call}:after"):
                for action in operation.faults:
                    for when in Occurrence:
                        scenario = operation.scenario(when)
                        if scenario is not None:
                            yield Case(operation, point, action, when, scenario)
