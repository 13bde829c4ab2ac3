"""The metrics of the service."""

from typing import Protocol


class Metrics(Protocol):
    """Each method records one event within microseconds. None is called between an opening and its writes."""

    def observe_delivery(self, outcome: str, *, by_sweep: bool, left_s: float) -> None:
        """An execution was answered, `left_s` before its answer was due."""
        ...

    def observe_lag(self, seconds: float) -> None:
        """A message arrived so long after it was due."""
        ...

    def observe_lateness(self, lateness_s: float) -> None:
        """A prebooking's first request left so long after its opening."""
        ...

    def count_finished(self, outcome: str) -> None:
        """A prebooking was finished here."""
        ...

    def count_crowded_opening(self) -> None:
        """More were scheduled for one opening than can be made ready within its lead."""
        ...

    def count_sweep(self, *, found: int) -> None: ...

    def count_dead_session(self) -> None:
        """A user has to sign in again."""
        ...

    def count_refused_signature(self, reason: str) -> None:
        """A delivery's signature was refused."""
        ...

    def count_refused_token(self, check: str) -> None:
        """A user's access token was refused."""
        ...

    def count_notice(self, kind: str) -> None:
        """QStash accepted a notice."""
        ...

    def exposition(self) -> tuple[bytes, str]:
        """Returns all metrics in Prometheus's format, and the media type."""
        ...
