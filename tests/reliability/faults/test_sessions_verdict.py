"""Which rotated sessions count as lost, which apart, and which not at all."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.reliability.faults.failpoints import Rotating
from tests.reliability.faults.fault_schedule import FaultWindow
from tests.reliability.faults.fleet import Death, Rotation
from tests.reliability.faults.rows import Stored
from tests.reliability.faults.sessions import Ledger, LossCause, losses

ANA = "ana@example.com"
SECOND = 1_000_000_000
RENEWALS = [{"token": f"t{n}", "auth": f"a{n}", "at_ns": 100 * n * SECOND} for n in (0, 1)]
FIRST = Stored(ANA, "t0", "a0", marked_dead=False, at=0)
SAVED = Stored(ANA, "t1", "a1", marked_dead=False, at=101)
KILL = Death("kill", 101.0, "store.save_session:before")


def causes(
    *stored: Stored,
    answer: Mapping[str, Any] | None = None,
    death: Death | None = None,
    away: tuple[float, float] | None = None,
    read_at: float = 200.0,
    **session: Any,
) -> list[LossCause]:
    """Of a session that was rotated at 100 s and answered at 101 s."""
    rotation = {"decided": {"newToken": "t1"}, "fault": None, "delivered": True, "last_byte_ns": 100 * SECOND}
    ledger = Ledger(
        sessions=[{"member": ANA, "renewals": RENEWALS, "ended_ns": None, "ended_by": None} | session],
        requests=[rotation | {"answered_ns": 101 * SECOND, "left_ns": None} | dict(answer or {})],
        stored=[FIRST, *stored],
        rotations=[Rotation(Rotating("t0", 99.9), death)],
        fault_windows=[FaultWindow("database", "away", *away)] if away else [],
        read_at=read_at,
    )
    return [loss.cause for loss in losses(ledger)]


def test_what_was_stored_is_kept() -> None:
    assert causes(SAVED) == []


def test_what_the_database_never_had_is_lost() -> None:
    assert causes() == [LossCause.LOST]


def test_what_is_kept_with_the_cookie_of_before_is_lost() -> None:
    assert causes(Stored(ANA, "t1", "a0", marked_dead=False, at=101)) == [LossCause.LOST]


def test_an_older_token_over_the_newest_loses_it() -> None:
    assert causes(SAVED, FIRST) == [LossCause.LOST]


@pytest.mark.parametrize(
    ("death", "cause"),
    [
        (KILL, LossCause.KILLED),
        (Death("kill", 100.5), LossCause.KILLED),  # before the answer
        (Death("kill", 110.0), LossCause.LOST),  # there was time to store it
        (Death("deploy", 101.0), LossCause.LOST),
        (Death("crash", 101.0), LossCause.LOST),
    ],
)
def test_only_a_kill_in_the_instant_counts_apart(death: Death, cause: LossCause) -> None:
    assert causes(death=death) == [cause]


def test_the_instant_lasts_as_long_as_the_database_is_away() -> None:
    assert causes(death=Death("kill", 130.0), away=(100.0, 129.0)) == [LossCause.KILLED]


def test_a_kill_is_no_excuse_for_who_had_hung_up_before() -> None:
    assert causes(answer={"left_ns": int(100.1 * SECOND), "delivered": False}, death=KILL) == [LossCause.LOST]


def test_an_answer_that_the_gym_kept_counts_apart() -> None:
    assert causes(answer={"fault": "reset", "answered_ns": None, "delivered": False}) == [LossCause.UNANSWERED]


def test_what_the_gym_ended_or_its_member_replaced_in_that_instant_is_not_lost() -> None:
    assert causes(Stored(ANA, "another", "b", marked_dead=False, at=102)) == []
    assert causes(ended_by="the gym", ended_ns=102 * SECOND) == []


def test_what_was_being_saved_when_the_sessions_were_read_is_not_judged() -> None:
    assert causes(read_at=105.0) == []
    assert causes(read_at=130.0, death=Death("stop", 101.5, until=125.0)) == []


@pytest.mark.parametrize("stopped", [Death("stop", 101.5, until=125.0), Death("stop", 101.5, until=189.0)])
def test_what_its_member_replaced_while_the_asker_was_stopped_is_not_lost(stopped: Death) -> None:
    replaced = Stored(ANA, "another", "b", marked_dead=False, at=120)
    assert causes(replaced, death=stopped) == []
    assert causes(death=stopped) == [LossCause.LOST]


def test_a_member_who_signs_in_because_it_was_lost_does_not_hide_it() -> None:
    dead, anew = (
        Stored(ANA, "t0", "a0", marked_dead=True, at=103),
        Stored(ANA, "another", "b", marked_dead=False, at=104),
    )
    assert causes(dead, anew) == [LossCause.LOST]


def test_what_a_stale_token_ended_is_lost() -> None:
    assert causes(SAVED, ended_by="a stale token", ended_ns=102 * SECOND) == [LossCause.LOST]


def test_a_session_that_the_service_never_had_is_nobodys_loss() -> None:
    assert (
        list(losses(Ledger([{"member": "eva@example.com", "renewals": RENEWALS, "ended_by": None}], [], [FIRST]))) == []
    )
