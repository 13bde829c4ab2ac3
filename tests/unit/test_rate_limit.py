"""How often one user may ask: exactly so often within any while, and nobody is remembered for longer."""

from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_clock import FakeClock

from prebooking.concurrency.rate_limit import RateLimiter

USERS = st.sampled_from(["ana", "bea", "eve"])


@given(st.lists(st.tuples(USERS, st.floats(0, 5)), max_size=60))
def test_of_any_window_no_user_gets_more_and_none_that_has_room_is_refused(asked: list[tuple[str, float]]) -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, most=3, per_s=10)
    admitted: dict[str, list[float]] = {}
    for user, later in asked:
        clock.true_time += later
        now = clock.monotonic()
        recent = [at for at in admitted.get(user, []) if at > now - 10]
        wait = limiter.admit(user)
        assert (wait == 0) == (len(recent) < 3)
        if wait:
            assert abs(wait - (recent[0] + 10 - now)) < 1e-6
        else:
            admitted.setdefault(user, []).append(now)
    clock.true_time += 11
    limiter.admit("someone")
    assert list(limiter._admitted) == ["someone"]
