"""What the gyms hold: boxes, their classes, and who has which place. No clock of its own: `now_ns` is told."""

from dataclasses import dataclass
from itertools import count
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from prebooking_local.aimharder.moments import SECOND, Day, Instant, at_wall_clock

ClassKey = tuple[str, int]
_TIME = r"([01]\d|2[0-3]):[0-5]\d"
Minutes = Annotated[int, Field(ge=0)]


class Box(BaseModel):
    """A gym; below the zone stand its rules, with those switchable that are contradicted or unknown."""

    model_config = ConfigDict(extra="forbid")

    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    boid: int
    domain: Literal["aimharder.com", "aimharder.es"] = "aimharder.com"  # by a Host of the other one it redirects here
    name: str = "CrossFit"
    zone: str = "Europe/Madrid"
    days_ahead: int = 4
    too_early: Literal["days", "hours", "global"] = "days"  # -12 in days, -12 in hours, or -4
    booked_answer: Literal[0, 1] = 1  # some report 0 for a booking
    waiting_answer: Literal[0, 1] = 0  # some report 1 for the waiting list
    same_hour_refused: bool = True
    daily_max: int | None = None  # bookings of one class type a day and person, then -8
    closes_minutes: Minutes | None = None  # before the start, then -7; None: never
    late_cancel_minutes: Minutes | None = None  # before the start, then cancelState 2 unless late=1
    needs_php_session: bool = False  # books only with the PHPSESSID that its /schedule hands out


class GymClass(BaseModel):
    """One class on one day. It opens at `opens_at`, or else by its box's rule of days."""

    model_config = ConfigDict(extra="forbid")

    box: str
    id: int
    day: Day
    time: str = Field(default="08:00 - 09:00", pattern=rf"^{_TIME} - {_TIME}$")
    name: str = "CrossFit"
    type_id: int = 1  # of class: `classId` in a listing
    opens_at: Instant | None = None
    capacity: int = 14
    others: int = 0  # places taken by people whom nobody here knows
    fills_after_s: float | None = None  # after the opening, when others take all that is left
    waiting_capacity: int | None = None  # None: a list without end
    cancelled_id: int | None = None
    resadmin: Literal[0, 1] = 0
    enabled: Literal[0, 1] = 1
    included: Literal[0, 1] = 1
    listed_at_opening: bool = False  # until then it is not there, to anybody

    @property
    def key(self) -> ClassKey:
        return self.box, self.id

    @property
    def start(self) -> str:
        return self.time[:5]


class Person(NamedTuple):
    """Who trains: a member ('' as the family id) or somebody of the member's family."""

    member: str
    family_id: str


@dataclass(slots=True)
class Reservation:
    id: int
    person: Person
    key: ClassKey
    made_ns: int
    state: Literal[0, 1]  # 1 has a place, 0 waits


class Gym:
    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.classes: dict[ClassKey, GymClass] = {}
        self._rosters: dict[ClassKey, list[Reservation]] = {}
        self._ids = count(106_015_104)

    def put_box(self, box: Box) -> None:
        self.boxes[box.slug] = box

    def put_class(self, gym_class: GymClass) -> None:
        """Adds a class, or replaces the one with that id, whose reservations stay."""
        if gym_class.box not in self.boxes:
            raise LookupError(f"no box {gym_class.box!r}: put it up first")
        self.classes[gym_class.key] = gym_class
        self._rosters.setdefault(gym_class.key, [])

    def remove_class(self, box: str, class_id: int) -> GymClass:
        """Removes a class with its reservations, as boxes do that create their classes anew."""
        if (box, class_id) not in self.classes:
            raise LookupError(f"box {box!r} has no class {class_id}")
        del self._rosters[box, class_id]
        return self.classes.pop((box, class_id))

    def replace_class(self, box: str, class_id: int, new_id: int, *, keeps_places: bool = False) -> None:
        """Creates the same class under another id. Its reservations go, unless they are taken along."""
        roster = self._rosters.get((box, class_id), [])
        recreated = self.remove_class(box, class_id).model_copy(update={"id": new_id})
        self.put_class(recreated)
        for reservation in roster if keeps_places else ():
            reservation.key = recreated.key
            self._rosters[recreated.key].append(reservation)

    def fill_class(self, box: str, class_id: int) -> None:
        """Gives all places that are left to others."""
        gym_class = self.classes.get((box, class_id))
        if gym_class is None:
            raise LookupError(f"box {box!r} has no class {class_id}")
        gym_class.others = max(gym_class.others, gym_class.capacity - self._placed(gym_class))

    def starts_ns(self, gym_class: GymClass) -> int:
        return at_wall_clock(gym_class.day, gym_class.start, self.boxes[gym_class.box].zone)

    def opens_ns(self, gym_class: GymClass) -> int:
        if gym_class.opens_at is not None:
            return gym_class.opens_at
        box = self.boxes[gym_class.box]
        return at_wall_clock(gym_class.day, gym_class.start, box.zone, days_before=box.days_ahead)

    def roster(self, gym_class: GymClass) -> list[Reservation]:
        return self._rosters[gym_class.key]

    def reservations(self) -> list[Reservation]:
        return [reservation for roster in self._rosters.values() for reservation in roster]

    def classes_on(self, box: str, day: str, now_ns: int | None = None) -> list[GymClass]:
        """Returns the classes of a day. `now_ns`: those that are listed then; None: all."""
        found = (c for c in self.classes.values() if (c.box, c.day) == (box, day))
        return sorted((c for c in found if now_ns is None or self.is_listed(c, now_ns)), key=lambda c: (c.time, c.id))

    def is_listed(self, gym_class: GymClass, now_ns: int) -> bool:
        return not gym_class.listed_at_opening or now_ns >= self.opens_ns(gym_class)

    def taken(self, gym_class: GymClass, now_ns: int) -> int:
        placed = self._placed(gym_class)
        if gym_class.fills_after_s is not None:
            filled_ns = self.opens_ns(gym_class) + int(gym_class.fills_after_s * SECOND)
            if now_ns >= filled_ns:
                return max(gym_class.capacity, gym_class.others + placed)
        return gym_class.others + placed

    def reserve(self, gym_class: GymClass, person: Person, *, state: Literal[0, 1], now_ns: int) -> Reservation:
        reservation = Reservation(next(self._ids), person, gym_class.key, now_ns, state)
        self.roster(gym_class).append(reservation)
        return reservation

    def release(self, reservation: Reservation, now_ns: int) -> None:
        """Frees the place, which goes to the first on the waiting list."""
        gym_class = self.classes[reservation.key]
        roster = self.roster(gym_class)
        roster.remove(reservation)
        first_waiting = next((r for r in roster if r.state == 0), None)
        if first_waiting and self.taken(gym_class, now_ns) < gym_class.capacity:
            first_waiting.state = 1

    def _placed(self, gym_class: GymClass) -> int:
        return sum(reservation.state for reservation in self.roster(gym_class))
