"""The gym of a run: its classes, its members, its policy."""

from datetime import timedelta
from enum import Enum

from tests.reliability.machine.environment import START
from tests.support.world import BOX

from prebooking_local.aimharder import AimHarder, GymClass

ANA, BEA = "ana@example.com", "bea@example.com"
MEMBERS = (ANA, BEA)
FAMILY = ("", "77")
DAY = f"{START + timedelta(days=9):%Y%m%d}"  # far away: a wish that names no time of its class ends with the day

SCARCE, ROOMY, ANOTHER_HOUR = 501, 502, 503
CLASSES = (SCARCE, ROOMY, ANOTHER_HOUR)
_SPARE = range(600, 720)  # each at an hour of its own


class GymPolicy(Enum):
    """How a gym meets a second booking, and what its listing is worth; see fault_rules.LATE."""

    STRICT = "refuses two bookings at one hour"
    LAX = "takes whatever it is sent: only we keep a user from being booked twice"
    FORGETFUL = "refuses two at one hour, and its listing lags behind"


def put_up(gym: AimHarder, policy: GymPolicy) -> None:
    gym.gym.put_box(BOX.model_copy(update={"same_hour_refused": policy is not GymPolicy.LAX}))
    _put_class(gym, SCARCE, "08:00", capacity=1)
    _put_class(gym, ROOMY, "08:00")
    _put_class(gym, ANOTHER_HOUR, "19:00")


def put_up_another(gym: AimHarder) -> int:
    """A class that nobody has asked for yet."""
    class_id = next(spare for spare in _SPARE if (BOX.slug, spare) not in gym.gym.classes)
    minute = class_id - _SPARE.start
    _put_class(gym, class_id, f"{minute // 60:02}:{minute % 60:02}")
    return class_id


def _put_class(gym: AimHarder, class_id: int, start: str, capacity: int = 14) -> None:
    opened = START - timedelta(hours=1)
    time = f"{start} - 23:00"
    values = {
        "box": BOX.slug,
        "id": class_id,
        "day": DAY,
        "opens_at": opened.isoformat(),
        "capacity": capacity,
        "time": time,
    }
    gym.gym.put_class(GymClass.model_validate(values))
