"""How often one user may have AimHarder asked for them, in one process: it may shut out a host that asks too much."""

from collections import deque

from prebooking.domain.ports import Clock


class RateLimiter:
    """At most `most` within any `per_s` seconds, for each user by themselves."""

    def __init__(self, clock: Clock, *, most: int, per_s: float) -> None:
        self._clock = clock
        self._most = most
        self._per_s = per_s
        self._asked: dict[str, deque[float]] = {}  #: oldest first, as the users' latest are in the dict's own order

    def admit(self, user_email: str) -> float:
        """0, and it counts; else the seconds until there is room again."""
        now = self._clock.monotonic()
        self._forget(now)
        asked = self._asked.pop(user_email, deque())
        while asked and asked[0] <= now - self._per_s:
            asked.popleft()
        room = len(asked) < self._most
        if room:
            asked.append(now)
        self._asked[user_email] = asked
        return 0.0 if room else asked[0] + self._per_s - now

    def _forget(self, now: float) -> None:
        """Those who have been quiet for long: the first of the dict have been so for the longest."""
        while self._asked:
            user_email, asked = next(iter(self._asked.items()))
            if asked[-1] > now - self._per_s:
                return
            del self._asked[user_email]
