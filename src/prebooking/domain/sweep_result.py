"""The result of a sweep: the rows that need something, by kind."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prebooking.domain.prebooking import Prebooking


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsMessage:
    """A row whose version has no message, or only one that is addressed elsewhere."""

    prebooking: Prebooking
    delivery_failures: int
    readdressed: bool = False  #: it has a message for another address


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """The rows to execute, to settle, and to publish a message for."""

    now: datetime
    execute: tuple[UUID, ...]
    settle: tuple[UUID, ...]
    publish: tuple[NeedsMessage, ...]
    next_at: datetime | None
    busy: bool  #: a row is executing, or opens within 10 s
    sent_at: float  #: see Claim
