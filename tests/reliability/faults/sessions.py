"""Did a member's session outlive the run? Judged by the gym's ledger of sessions and all that the database had of them.

A refresh rotates a session's token at the gym: whoever loses the answer has lost the session. A session is lost if the
gym's newest token for it never came into the database. Told apart, since they can't be helped: a SIGKILL between the
gym's rotation and our save, and an answer that the gym itself never sent.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.reliability.faults.fault_schedule import FaultWindow
from tests.reliability.faults.fleet import Death, Rotation
from tests.reliability.faults.rows import Stored

#: So long after the gym's answer a save may be under way; a session that ends or is replaced meanwhile is not ours.
_SAVED_WITHIN_S = 10.0
#: Of the time between the gym's answer and the kill, without that in which the database was away.
_INSTANT_S = 3.0
_AT_ONCE_S = 0.05  # a killed process hangs up as it dies


class LossCause(StrEnum):
    LOST = "lost"
    KILLED = "lost to a SIGKILL in the very instant"
    UNANSWERED = "lost by an answer that the gym never sent"


@dataclass(frozen=True, slots=True)
class Ledger:
    """`sessions` and `requests` are the gym's, `stored` is the database's in its order."""

    sessions: Sequence[Mapping[str, Any]]
    requests: Sequence[Mapping[str, Any]]
    stored: Sequence[Stored]
    rotations: Sequence[Rotation] = ()
    fault_windows: Sequence[FaultWindow] = ()
    read_at: float = math.inf  #: when the sessions were, before the rest; epoch seconds


@dataclass(frozen=True, slots=True)
class Loss:
    """A session that the gym has rotated away from us."""

    email: str
    cause: LossCause
    text: str


def losses(ledger: Ledger) -> Iterator[Loss]:
    of_member = defaultdict(list)
    for stored in ledger.stored:
        of_member[stored.email].append(stored)
    answers = {
        request["decided"]["newToken"]: request
        for request in ledger.requests
        if isinstance(request["decided"], dict) and "newToken" in request["decided"]
    }
    for session in ledger.sessions:
        loss = _loss(session, of_member[session["member"].lower()], answers, ledger)
        if loss is not None:
            yield loss


def rotated(ledger: Ledger) -> int:
    """How many tokens the gym has given out for those that it took back."""
    return sum(len(session["renewals"]) - 1 for session in ledger.sessions)


def _loss(
    session: Mapping[str, Any], stored: Sequence[Stored], answers: Mapping[str, Mapping[str, Any]], ledger: Ledger
) -> Loss | None:
    email, renewals = session["member"], session["renewals"]
    tokens, newest = {renewal["token"] for renewal in renewals}, renewals[-1]
    ours = [i for i, one in enumerate(stored) if one.token in tokens]
    if not ours:
        return None  # nobody has handed it to the service
    if session["ended_by"] == "a stale token":
        return Loss(email, LossCause.LOST, "it was shown a token that it had replaced, and ended")
    last = stored[ours[-1]]
    if last.token == newest["token"]:
        dead = last.auth != newest["auth"]
        return Loss(email, LossCause.LOST, "stored with a cookie that the gym had replaced") if dead else None
    answer = answers.get(newest["token"])
    if answer is None or any(one.token == newest["token"] for one in stored):
        return Loss(email, LossCause.LOST, "an older token stands in the place of the newest")
    ends = [one.at for one in stored[ours[-1] + 1 :]]
    if session["ended_by"] == "the gym":
        ends.append(session["ended_ns"] / 1e9)
    if last.marked_dead and last.at > newest["at_ns"] / 1e9:
        ends = []  # it was lost before it was replaced
    return _unsaved(email, renewals, answer, min(ends, default=ledger.read_at), ledger)


def _unsaved(
    email: str, renewals: Sequence[Mapping[str, Any]], answer: Mapping[str, Any], ends: float, ledger: Ledger
) -> Loss | None:
    """`ends`: when it ended otherwise."""
    rotated_at = renewals[-1]["at_ns"] / 1e9
    answered_at = (answer["answered_ns"] or answer["last_byte_ns"]) / 1e9
    death = _death_of_asker(renewals[-2]["token"], rotated_at, ledger)
    stopped = death is not None and death.how == "stop" and death.at <= answered_at + _INSTANT_S
    ready_at = max(answered_at, death.until) if death is not None and stopped else answered_at
    if ends < ready_at + _SAVED_WITHIN_S:
        return None
    if answer["fault"] not in (None, "slow"):
        return Loss(email, LossCause.UNANSWERED, f"the gym rotated it, and then: {answer['fault']}")
    left_at = answer["left_ns"] / 1e9 if answer["left_ns"] else math.inf
    killed = _killed(death, answered_at, ledger)
    if killed is not None and killed.at - left_at > _AT_ONCE_S:
        killed = None  # it had hung up long before
    if killed is not None:
        after_s = killed.at - rotated_at
        return Loss(
            email, LossCause.KILLED, f"SIGKILL at {killed.point or 'no point'}, {after_s:.3f} s after the rotation"
        )
    heard = "and heard" if answer["delivered"] else f"its asker hung up after {left_at - rotated_at:.3f} s"
    fate = f"; its asker: {death.how} {death.at - rotated_at:.3f} s after it, at {death.point}" if death else ""
    after_s = answered_at - rotated_at
    text = f"at {rotated_at:.3f}: answered {after_s:.3f} s after the rotation, {heard}; never stored{fate}"
    return Loss(email, LossCause.LOST, text)


def _death_of_asker(token: str, rotated_at: float, ledger: Ledger) -> Death | None:
    asked = [one for one in ledger.rotations if one.asked.token == token and one.asked.at <= rotated_at]
    return max(asked, key=lambda one: one.asked.at).death if asked else None


def _killed(death: Death | None, answered_at: float, ledger: Ledger) -> Death | None:
    """The kill of the replica that had asked for it, if there was no time to save it before."""
    if death is None or death.how != "kill":
        return None
    away = [(window.began, window.ended) for window in ledger.fault_windows if window.where == "database"]
    return death if death.at - answered_at - _covered(away, answered_at, death.at) <= _INSTANT_S else None


def _covered(spans: Iterable[tuple[float, float]], start: float, end: float) -> float:
    """Seconds between start and end that lie within at least one of the spans."""
    total, upto = 0.0, start
    for began, ended in sorted(spans):
        began, ended = max(began, upto), min(ended, end)  # noqa: PLW2901
        if ended > began:
            total, upto = total + ended - began, ended
    return total
