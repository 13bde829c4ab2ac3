"""The history of a prebooking: one event for each transition, written by the database in the same statement."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """See sql/functions/75_history.sql. A release of the service that is newer than this one may have more events."""

    at: datetime
    event: str
    attempt: int | None = None
    replica: str | None = None  #: six hex digits, random a process
    reason: str | None = None
    message_id: str | None = None
    took_ms: float | None = None  #: since the claim
