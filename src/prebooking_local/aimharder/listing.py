"""The day's listing. It is public: who has no session sees the same rows, with `bookState` and `idres` null."""

from datetime import datetime, timedelta

from prebooking_local.aimharder.answers import Json
from prebooking_local.aimharder.faults import Shape
from prebooking_local.aimharder.gym import Box, Gym, GymClass, Person, Reservation

_WEEKDAYS = ("Lunes", "Martes", "Miércoles", "Jueves", "Viernes", "Sábado", "Domingo")
_MONTHS = (
    *("Enero", "Febrero", "Marzo", "Abril", "Mayo", "Junio"),
    *("Julio", "Agosto", "Septiembre", "Octubre", "Noviembre", "Diciembre"),
)


def _day_label(day: str) -> str:
    date = datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007 - a date alone; the zone is nowhere in a listing
    return f"{_WEEKDAYS[date.weekday()]}, {date.day} de {_MONTHS[date.month - 1]} de {date.year}"


def _minutes(time: str) -> int:
    start, end = (timedelta(hours=int(part[:2]), minutes=int(part[3:])) for part in time.split(" - "))
    return int((end - start).total_seconds()) // 60 % (24 * 60)


def _time_id(gym_class: GymClass) -> str:
    return f"{gym_class.start.replace(':', '')}_{_minutes(gym_class.time)}"


def listing(gym: Gym, box: Box, day: str, viewer: Person | None, *, now_ns: int, stale_ns: int) -> Json:
    """Returns the day's rows. Reservations of the last `stale_ns` are not shown yet."""
    classes = gym.classes_on(box.slug, day, now_ns)
    slots = {_time_id(gym_class): gym_class.time for gym_class in classes}
    return {
        "clasesDisp": "",
        "timetable": [{"id": time_id, "time": time} for time_id, time in slots.items()],
        "day": _day_label(day),
        "bookings": [_row(gym, box, gym_class, viewer, now_ns=now_ns, stale_ns=stale_ns) for gym_class in classes],
        "seminars": [],
        "resmsgs": [],
    }


def _row(gym: Gym, box: Box, gym_class: GymClass, viewer: Person | None, *, now_ns: int, stale_ns: int) -> Json:
    roster = gym.roster(gym_class)
    shown = [r for r in roster if not stale_ns or r.made_ns <= now_ns - stale_ns]
    waiting = sum(r.state == 0 for r in shown)
    own = next((r for r in shown if r.person == viewer), None)
    unseen_places = sum(r.state for r in roster) - sum(r.state for r in shown)
    return _fixed_part(box, gym_class) | {
        "bookState": own.state if own else None,
        "idres": own.id if own else None,
        "limit": f"{gym_class.capacity} ({waiting})" if waiting else gym_class.capacity,
        "limitc": gym_class.capacity,
        "ocupation": gym.taken(gym_class, now_ns) - unseen_places,
        "waitlist": waiting or -1,
    }


def _fixed_part(box: Box, gym_class: GymClass) -> Json:
    return {
        "id": gym_class.id,
        "classId": gym_class.type_id,
        "className": gym_class.name,
        "classDesc": "",
        "color": "12,120,190",
        "classLength": _minutes(gym_class.time),
        "time": gym_class.time,
        "timeid": _time_id(gym_class),
        "boxName": box.name,
        "boxDir": "",
        "boxPic": "",
        "coachName": None,
        "coachPic": None,
        "enabled": gym_class.enabled,
        "cancelledId": gym_class.cancelled_id,
        "resadmin": gym_class.resadmin,
        "included": gym_class.included,
        "onlineclass": None,
        "hidden": 0,
    }


def reshaped(listing: Json, shape: Shape) -> Json:
    """Returns the same day as other versions of AimHarder tell it."""
    rows = listing["bookings"]
    match shape:
        case "gaps":
            names = ("bookings", "timetable")
            return listing | {name: {str(2 * n): one for n, one in enumerate(listing[name])} for name in names}
        case "strings":
            rows = [{name: str(v) if isinstance(v, int) else v for name, v in row.items()} for row in rows]
        case "start_alone":
            rows = [row | {"time": row["time"][:5]} for row in rows]
        case "hour_elsewhere":
            rows = [row | {"time": None} for row in rows]
        case "no_hours":
            listing |= {"timetable": []}
            rows = [row | {"time": None, "timeid": None} for row in rows]
        case "odd_row":
            rows = [{"seminar": "Open day"}, *rows]
    return listing | {"bookings": rows}


def next_bookings(gym: Gym, box: Box, person: Person) -> Json:
    """Returns the member's next bookings, whose ids match neither sessions nor types of the listing (recorded)."""
    own: list[tuple[GymClass, Reservation]] = [
        (gym.classes[reservation.key], reservation)
        for reservation in gym.reservations()
        if reservation.person == person and reservation.key[0] == box.slug
    ]
    return {
        "nextClasses": [
            {
                "id": 900_000_000 + reservation.id,
                "bookState": reservation.state,
                "className": gym_class.name,
                "time": gym_class.time,
                "day": _day_label(gym_class.day),
            }
            for gym_class, reservation in sorted(own, key=lambda pair: (pair[0].day, pair[0].time))
        ],
        "history": [],
    }
