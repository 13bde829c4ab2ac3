"""A sliding-window rate limiter for each user, in one process: AimHarder may block a host with too many requests."""

from collections import deque

from prebooking.domain.ports import Clock


class RateLimiter:
    """Admits at most `most` requests of a user within any `per_s` seconds."""

    def __init__(self, clock: Clock, *, most: int, per_s: float) -> None:
        self._clock = clock
        self._most = most
        self._per_s = per_s
        #: When each user's requests were admitted, the oldest first; the users in the order of their latest requests.
        self._admitted: dict[str, deque[float]] = {}

    def admit(self, user_email: str) -> float:
        """Returns 0 and counts the request, or returns the seconds until one is admitted again."""
        now = self._clock.monotonic()
        self._forget_idle(now)
        admitted = self._admitted.pop(user_email, deque())
        while admitted and admitted[0] <= now - self._per_s:
            admitted.popleft()
        has_room = len(admitted) < self._most
        if has_room:
            admitted.append(now)
        self._admitted[user_email] = admitted
        return 0.0 if has_room else admitted[0] + self._per_s - now

    def _forget_idle(self, now: float) -> None:
        """Drops users without a request in the window; the first in the dict have been idle for the longest."""
        while self._admitted:
            user_email, admitted = next(iter(self._admitted.items()))
            if admitted[-1] > now - self._per_s:
                return
            del self._admitted[user_email]
