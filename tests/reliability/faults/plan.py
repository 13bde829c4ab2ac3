"""Who wants which class, when they ask for it and what they do then: drawn from the seed before anything runs."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any

MEMBERS = 400
#: The usual gym refuses a second booking of the same hour. The lax one takes it: there a double booking can be seen.
STRICT = {"slug": "mygym", "boid": 7}
LAX = {"slug": "laxgym", "boid": 8, "same_hour_refused": False}
BOXES = (STRICT, LAX)
_BOX_ID = {"mygym": 7, "laxgym": 8}

_SIZES = (1, 1, 1, 2, 2, 3, 5, 8, 12, 20, 30)
_FIRST_S = 10.0  # from the start to the first opening
_OPENS_LATE = 0.05  # of the classes, by seconds or by minutes
_LATE_S = ((1.0, 10.0), (10.0, 150.0))
_FIRST_DAY = date(2026, 12, 1)
_CLASS_IDS = 1000


class FollowUp(StrEnum):
    """What a member does after the create."""

    WAIT = "wait"
    CANCEL = "cancel"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Opening:
    """A class and the instant at which the gym opens it."""

    box: str
    class_id: int
    day: str
    at: datetime
    capacity: int
    fills_after_s: float | None
    late_s: float = 0.0  #: the gym opens it so much later than it said

    @property
    def opened_at(self) -> datetime:
        return self.at + timedelta(seconds=self.late_s)

    @property
    def box_id(self) -> int:
        return _BOX_ID[self.box]

    def as_class(self) -> dict[str, Any]:
        return {
            "box": self.box,
            "id": self.class_id,
            "day": self.day,
            "opens_at": self.opened_at.isoformat(),
            "capacity": self.capacity,
            "fills_after_s": self.fills_after_s,
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """One member wants one class. Instants are epoch seconds but for openings."""

    email: str
    opening: Opening
    insist: int
    create_at: float
    first_guess: datetime  #: the opening as first asked for; it is moved to the true one, or from it
    follow_up: FollowUp
    follow_up_at: float
    moved_to: datetime
    looks_at: float | None  #: when the member looks what became of it

    @property
    def key(self) -> tuple[str, int]:
        return self.email, self.opening.class_id


def members() -> list[str]:
    return [f"m{number:03}@example.com" for number in range(MEMBERS)]


def draw(rng: Random, count: int, starts_at: float, seconds: float) -> tuple[list[Opening], list[Wish]]:
    """`count` wishes for classes that open from the start on, at an even rate, for `seconds`."""
    openings: list[Opening] = []
    wishes: list[Wish] = []
    group: list[str] = []
    while len(wishes) < count:
        size = min(rng.choice(_SIZES), count - len(wishes))
        at = starts_at + _FIRST_S + (seconds - _FIRST_S) * len(wishes) / count
        clashes = len(openings) > 0 and rng.random() < 0.03
        opening = _opening(rng, at, size, _CLASS_IDS + len(openings), openings[-1] if clashes else None)
        if rng.random() < _OPENS_LATE:
            late_s = min(rng.uniform(*rng.choice(_LATE_S)), starts_at + seconds - opening.at.timestamp())
            opening = replace(opening, late_s=round(max(0.0, late_s), 2))
        group = _group(rng, size, group if clashes else [])
        openings.append(opening)
        wishes += [_wish(rng, email, opening, starts_at) for email in group]
    return openings, wishes


def _opening(rng: Random, at: float, size: int, class_id: int, same_hour_as: Opening | None) -> Opening:
    if rng.random() < 0.5:
        at = float(round(at))
    scarce = size > 1 and rng.random() < 0.08
    box = same_hour_as.box if same_hour_as else str(rng.choices(BOXES, (3, 1))[0]["slug"])
    return Opening(
        box=box,
        class_id=class_id,
        day=same_hour_as.day if same_hour_as else f"{_FIRST_DAY + timedelta(days=class_id - _CLASS_IDS):%Y%m%d}",
        at=datetime.fromtimestamp(round(at, 3), UTC),
        capacity=size // 2 if scarce else size + 20,
        fills_after_s=round(rng.uniform(0.5, 5), 2) if rng.random() < 0.05 else None,
    )


def _group(rng: Random, size: int, again: list[str]) -> list[str]:
    """Half of those who want the class of the same hour want this one too."""
    both = again[: min(size, len(again)) // 2 + 1][:size]
    others = [email for email in members() if email not in both]
    return both + rng.sample(others, size - len(both))


def _wish(rng: Random, email: str, opening: Opening, starts_at: float) -> Wish:
    opens = opening.at.timestamp()
    create_at = max(starts_at + rng.uniform(0, 3), opens - _lead(rng))
    guess, moved_to, follow_up, follow_up_at = opening.at, opening.at, FollowUp.WAIT, 0.0
    dice = rng.random()
    if dice < 0.09:
        follow_up = FollowUp.CANCEL
        spread = ((create_at - opens, -4.0), (-4.0, 0.1), (-0.1, 2.0))
        follow_up_at = max(create_at + 0.2, opens + rng.uniform(*rng.choice(spread)))
    elif dice < 0.14 and create_at < opens - 3:
        follow_up = FollowUp.MOVE
        later = opening.at + timedelta(seconds=round(rng.uniform(2, 10), 2))
        if rng.random() < 0.5:
            moved_to = later
        else:
            guess = later
        follow_up_at = rng.uniform(create_at + 0.2, opens)
    return Wish(
        email=email,
        opening=opening,
        insist=int(rng.random() < 0.2),
        create_at=create_at,
        first_guess=guess,
        follow_up=follow_up,
        follow_up_at=follow_up_at,
        moved_to=moved_to,
        looks_at=opens + rng.uniform(4, 12) if rng.random() < 0.4 else None,
    )


def _lead(rng: Random) -> float:
    """How long before the opening somebody asks: mostly well before, at times at the last moment or after it."""
    low, high = rng.choices(((6, 20), (0, 4), (-2, 0)), (18, 1, 1))[0]
    return rng.uniform(low, high)
