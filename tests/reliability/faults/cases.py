"""The cells of the matrix: each point in what the service is doing when it comes there, each fault, each time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.reliability.faults import fault_records as weathered
from tests.reliability.faults import scenarios as plays
from tests.reliability.faults import signing_in
from tests.reliability.faults.aim import Play, Try
from tests.reliability.faults.failpoints import Action

_CREATE = Play(plays.create)
_CANCEL = Play(plays.cancel, opens_in_s=8, cancels=True)
_RESCHEDULE = Play(plays.reschedule, opens_in_s=12)
_RETRY = Play(plays.retry, opens_in_s=-1, signed_in=False)
_LIST = Play(plays.look)
_CONNECT = Play(plays.connect, signed_in=False)
_SIGN_IN = Play(signing_in.sign_in, newest_session_stays=True)
_SIGN_IN_AGAIN = Play(signing_in.sign_in_again, may_fail="session_expired")
_SIGN_IN_AGAIN_LATE = Play(signing_in.sign_in_again_late, may_fail="session_expired")
_LOOK_AT_SESSION = Play(plays.look_at_session)
_DISCONNECT = Play(plays.disconnect)
_NOTE = Play(plays.note, opens_in_s=4)
_EXECUTE = Play(plays.execute)
_FAIL = Play(plays.fail, may_fail="class_not_found")
_RELEASE = Play(plays.release)
_PARK = Play(plays.park)
_REFRESH = Play(plays.refresh, may_fail="session_expired")
_SWEEP = Play(plays.sweep, sweeps=True)
_REFRESH_SLOWLY = Play(weathered.refresh_slowly, may_fail="session_expired")
_LOOK_AFTER = Play(weathered.look_after, opens_in_s=600, cancels=True, past_opening=False, sweeps=True)
_EXECUTE_UNSURE = Play(weathered.execute_unsure)
_EXECUTE_EARLY = Play(weathered.execute_early)
_EXECUTE_IDLE = Play(weathered.execute_idle)
_EXECUTE_LATE_AT_NAMES = Play(weathered.execute_late_at_names)
_EXECUTE_WITHOUT_NAMES = Play(weathered.execute_without_names)

#: What each point meets. A deploy is met where a session is rotated: elsewhere tests/operating and rolling_deploy.py.
FAULTS = (Action.KILL, Action.STOP, Action.LOSE)


@dataclass(frozen=True, slots=True)
class Story:
    """What the service is doing, the calls that it makes, and how each is reached."""

    name: str
    calls: tuple[str, ...]
    first: Play
    again: Play | None = None
    settling: Play | None = None
    faults: tuple[Action, ...] = FAULTS

    def play(self, when: Try) -> Play | None:
        return {Try.FIRST: self.first, Try.AGAIN: self.again, Try.SETTLING: self.settling}[when]


EXECUTING = Story(
    "executing",
    (
        *("store.claim", "gym.whoami", "gym.listing", "held.ready"),
        *("store.begin", "held.fire", "held.reply", "store.finish"),
    ),
    _EXECUTE,
    replace(_EXECUTE, act=plays.execute_again),
    replace(_EXECUTE, act=plays.settle),
)
_ROTATION = ("store.lease_session", "gym.refresh", "store.save_session")
STORIES = (
    Story("creating", ("store.create",), _CREATE, _CREATE),
    Story(
        "creating",
        ("messages.publish", "store.attach_message"),
        _CREATE,
        # What has no message is ordered by a sweep, after 10 s.
        Play(plays.order_again, opens_in_s=13, sweeps=True),
    ),
    Story("cancelling", ("store.cancel", "messages.delete"), _CANCEL, _CANCEL),
    Story(
        "rescheduling",
        ("store.reschedule", "messages.publish", "messages.delete"),
        _RESCHEDULE,
        _RESCHEDULE,
    ),
    Story(
        "rescheduling",
        ("store.attach_message",),
        _RESCHEDULE,
        replace(_RESCHEDULE, act=plays.reschedule_unnoted),
    ),
    Story("retrying", ("store.retry",), _RETRY, _RETRY),
    Story("listing", ("store.list",), _LIST, _LIST),
    Story("connecting a session", ("store.admit_check", "gym.whoami", "store.connect_session"), _CONNECT, _CONNECT),
    Story(
        "signing in",
        ("store.admit_sign_in", "gym.login", "gym.enter", "gym.boxes", "store.store_sign_in"),
        _SIGN_IN,
        _SIGN_IN,
    ),
    Story("signing in again", ("store.lease_sign_in", "store.save_sign_in_again"), _SIGN_IN_AGAIN, _SIGN_IN_AGAIN),
    Story("signing in again in vain", ("store.end_sign_in_again",), _SIGN_IN_AGAIN_LATE, _SIGN_IN_AGAIN_LATE),
    Story("looking at the session", ("store.read_session",), _LOOK_AT_SESSION, _LOOK_AT_SESSION),
    Story("disconnecting the session", ("store.disconnect_session",), _DISCONNECT, _DISCONNECT),
    Story("noting a failed delivery", ("store.note_delivery_failure",), _NOTE, _NOTE),
    EXECUTING,
    Story("failing", ("store.finish",), _FAIL, _FAIL),
    Story("releasing", ("store.release",), _RELEASE, _RELEASE),
    Story("parking", ("store.park",), _PARK, _PARK),
    Story("refreshing the session", _ROTATION, _REFRESH, _REFRESH, faults=tuple(Action)),
    Story("refreshing it slowly", ("gym.refresh", "store.save_session"), _REFRESH_SLOWLY, faults=tuple(Action)),
    Story("looking after sessions", _ROTATION, _LOOK_AFTER, faults=tuple(Action)),
    Story("executing, the account host silent", ("store.begin", "held.fire", "store.finish"), _EXECUTE_UNSURE),
    Story("executing, the gym late", ("held.fire", "store.release", "store.finish"), _EXECUTE_EARLY),
    Story("executing, the gym impatient", ("held.fire", "store.finish"), _EXECUTE_IDLE),
    Story("executing, names slow", ("held.fire", "store.finish"), _EXECUTE_LATE_AT_NAMES),
    Story("executing, no names", ("store.release",), _EXECUTE_WITHOUT_NAMES),
    Story("sweeping", ("store.sweep",), _SWEEP, _SWEEP),
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
class Cell:
    story: Story
    point: str
    action: Action
    when: Try
    play: Play

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
        return not (self.story.name == "failing" or self.point.startswith(_BEFORE_BEGIN))

    def __str__(self) -> str:
        return f"{self.point} while {self.story.name}: {self.action}, {self.when}"


def cells() -> Iterator[Cell]:
    """All of them."""
    for story in STORIES:
        for call in story.calls:
            for point in (f"{call}:before", f"{call}:after"):
                for action in story.faults:
                    for when in Try:
                        play = story.play(when)
                        if play is not None:
                            yield Cell(story, point, action, when, play)
