"""Whether a box takes a booking or a cancellation, and for which reason not."""

from dataclasses import dataclass
from enum import Enum

from prebooking_local.aimharder.accounts import Member
from prebooking_local.aimharder.gym import Box, Gym, GymClass, Person, Reservation

MINUTE_NS = 60_000_000_000


class Refusal(Enum):
    """The reasons; `answers` knows how each is told."""

    NO_SUCH_CLASS = "no such class"
    CANCELLED = "cancelled class"
    STAFF_ONLY = "only staff may book"
    NO_SUCH_RELATIVE = "no such family member"
    TOO_EARLY = "too early"
    TOO_LATE = "too late"
    UNPAID = "unpaid"
    NO_CREDIT = "no credit"
    CLASS_LIMIT = "limit of classes"
    CONTRACT_LIMIT = "contracted limit"
    SAME_HOUR = "same hour"
    DAILY_MAX = "daily max"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Wish:
    """A booking asked for. The opening is judged by the request's first byte: the strictest box imaginable."""

    box: Box
    class_id: int
    day: str
    member: Member
    family_id: str
    insist: bool
    arrived_ns: int
    now_ns: int

    @property
    def person(self) -> Person:
        return Person(self.member.email, self.family_id)


def book(gym: Gym, wish: Wish) -> Reservation | Refusal:
    gym_class = gym.classes.get((wish.box.slug, wish.class_id))
    if gym_class is None or gym_class.day != wish.day or not gym.is_listed(gym_class, wish.arrived_ns):
        return Refusal.NO_SUCH_CLASS
    refusal = (
        _closed(gym_class, wish)
        or _untimely(gym, gym_class, wish)
        or _unentitled(gym, gym_class, wish)
        or _repeated(gym, gym_class, wish)
    )
    return refusal or _seat(gym, gym_class, wish)


def _closed(gym_class: GymClass, wish: Wish) -> Refusal | None:
    if gym_class.cancelled_id is not None:
        return Refusal.CANCELLED
    if gym_class.resadmin or not gym_class.enabled:
        return Refusal.STAFF_ONLY
    if wish.family_id and wish.family_id not in {relative.id for relative in wish.member.family}:
        return Refusal.NO_SUCH_RELATIVE
    return None


def _untimely(gym: Gym, gym_class: GymClass, wish: Wish) -> Refusal | None:
    if wish.arrived_ns < gym.opens_ns(gym_class):
        return Refusal.TOO_EARLY
    return Refusal.TOO_LATE if _starts_within(gym, gym_class, wish.box.closes_minutes, wish.now_ns) else None


def _unentitled(gym: Gym, gym_class: GymClass, wish: Wish) -> Refusal | None:
    member = wish.member
    held = sum(reservation.person.member == member.email for reservation in gym.reservations())
    if member.unpaid:
        return Refusal.UNPAID
    if not gym_class.included or (member.credits is not None and held >= member.credits):
        return Refusal.NO_CREDIT
    if member.class_limit is not None and held >= member.class_limit:
        return Refusal.CLASS_LIMIT
    if member.contract_limit is not None and held >= member.contract_limit:
        return Refusal.CONTRACT_LIMIT
    return None


def _repeated(gym: Gym, gym_class: GymClass, wish: Wish) -> Refusal | None:
    that_day = [
        other
        for other in gym.classes_on(gym_class.box, gym_class.day)
        for reservation in gym.roster(other)
        if reservation.person == wish.person
    ]
    if wish.box.same_hour_refused and any(other.start == gym_class.start for other in that_day):
        return Refusal.SAME_HOUR
    same_type = sum(other.type_id == gym_class.type_id for other in that_day)
    return Refusal.DAILY_MAX if wish.box.daily_max is not None and same_type >= wish.box.daily_max else None


def _seat(gym: Gym, gym_class: GymClass, wish: Wish) -> Reservation | Refusal:
    if gym.taken(gym_class, wish.now_ns) < gym_class.capacity:
        return gym.reserve(gym_class, wish.person, state=1, now_ns=wish.now_ns)
    waiting = sum(reservation.state == 0 for reservation in gym.roster(gym_class))
    list_full = gym_class.waiting_capacity is not None and waiting >= gym_class.waiting_capacity
    if not wish.insist or list_full:
        return Refusal.FULL
    return gym.reserve(gym_class, wish.person, state=0, now_ns=wish.now_ns)


def cancel(gym: Gym, box: Box, reservation_id: int, member: str, *, late: bool, now_ns: int) -> int:
    """Returns the `cancelState`: 1 done, 2 would cost the credit (ask again with late=1), 3 no such reservation."""
    for reservation in gym.reservations():
        owner = reservation.person.member
        if (reservation.id, reservation.key[0], owner) == (reservation_id, box.slug, member):
            gym_class = gym.classes[reservation.key]
            if not late and _starts_within(gym, gym_class, box.late_cancel_minutes, now_ns):
                return 2
            gym.release(reservation, now_ns)
            return 1
    return 3


def _starts_within(gym: Gym, gym_class: GymClass, minutes: int | None, now_ns: int) -> bool:
    return minutes is not None and now_ns > gym.starts_ns(gym_class) - minutes * MINUTE_NS
