"""The unmodified service, real signals: no session is lost by being refreshed."""

from tests.processes.session_rotations import Faults, play


async def test_no_session_is_lost_though_answers_are_late_the_database_is_away_and_replicas_leave() -> None:
    faults = Faults(
        slowest_answer_s=2.0, away_s=(1.0, 3.0), healthy_s=(0.5, 1.5), leave_every_s=(1.0, 2.0), lasts_s=60.0
    )
    verdict = await play(20, faults, seed=3)
    assert (verdict.lost, verdict.dead, verdict.killed) == ([], 0, 0)
    assert verdict.stops > 2
    assert verdict.outages
