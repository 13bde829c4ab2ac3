"""The timestamps of one execution, and its requests, as the row stores them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# Of many shots (booking requests that were sent) the row stores the first and the latest, and the number of others.
FIRST_SHOTS, LATEST_SHOTS = 8, 12


def instant(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


@dataclass(slots=True)
class Shot:
    """One booking request that left."""

    fired_at: float
    answered_at: float | None = None
    outcome: str = "unanswered"

    def as_json(self) -> dict[str, Any]:
        answered = None if self.answered_at is None else _iso(self.answered_at)
        return {
            "fired_at": _iso(self.fired_at),
            "answered_at": answered,
            "outcome": self.outcome,
        }


@dataclass(slots=True)
class Timings:
    """The timestamps of one execution (epoch seconds), and all shots of the prebooking, also of earlier claims."""

    available_at: float
    delivered_at: float
    claimed_at: float
    clock_offset_s: float
    earlier_shots: tuple[dict[str, Any], ...] = ()
    ready_at: float | None = None
    shots: list[Shot] = field(default_factory=list)

    def all_shots(self) -> list[dict[str, Any]]:
        """Returns at most FIRST_SHOTS + LATEST_SHOTS of them; `left_out` counts those missing before its shot."""
        shots = [*self.earlier_shots, *(shot.as_json() for shot in self.shots)]
        left_out = shots[FIRST_SHOTS:-LATEST_SHOTS]
        if not left_out:
            return shots
        after = shots[-LATEST_SHOTS]
        number = len(left_out) + sum(shot.get("left_out", 0) for shot in (*left_out, after))
        return [*shots[:FIRST_SHOTS], after | {"left_out": number}, *shots[1 - LATEST_SHOTS :]]

    def as_json(self) -> dict[str, Any]:
        first_fired, last = self._first_fired(), self.shots[-1] if self.shots else None
        answered = last.answered_at if last else None
        return {
            "delivered_at": _iso(self.delivered_at),
            "claimed_at": _iso(self.claimed_at),
            "ready_at": None if self.ready_at is None else _iso(self.ready_at),
            "fired_at": None if first_fired is None else _iso(first_fired),
            "fire_lateness_ms": None if first_fired is None else _ms(max(0.0, first_fired - self.available_at)),
            "answered_at": None if answered is None else _iso(answered),
            "response_ms": None if last is None or answered is None else _ms(answered - last.fired_at),
            "clock_offset_ms": _ms(self.clock_offset_s),
            "shots": self.all_shots(),
        }

    def _first_fired(self) -> float | None:
        if self.earlier_shots:
            return datetime.fromisoformat(self.earlier_shots[0]["fired_at"]).timestamp()
        return self.shots[0].fired_at if self.shots else None


def _iso(epoch_s: float) -> str:
    return instant(epoch_s).isoformat().replace("+00:00", "Z")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
