"""AimHarder's listing and whoami, read for people who choose a class; what can't be read is left out."""

import re
from collections.abc import Mapping
from datetime import time
from typing import Any, Literal

from prebooking.adapters.aimharder_answers import read_whoami, storable, whole
from prebooking.domain.timetable import MemberBox, TimetabledClass

_HOST = re.compile(
    r"(?:https?://)?([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.aimharder\.(?:com|es)(?:[:/].*)?", re.IGNORECASE
)
_TIMES = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_LONGEST_TEXT = 200
_YOU: Mapping[int | None, Literal["booked", "waiting_list"]] = {1: "booked", 0: "waiting_list"}


def read_boxes(said: Any) -> tuple[MemberBox, ...] | None:
    """The boxes of a whoami; None where the session is dead. Raises ValueError where the answer doesn't tell."""
    if not read_whoami(said):
        return None
    people = [person for person in said["data"] if isinstance(person, dict)]
    return read_roles([role for person in people if isinstance(person.get("roles"), list) for role in person["roles"]])


def read_roles(roles: Any) -> tuple[MemberBox, ...]:
    """The boxes of a member's roles, as whoami and a login name them."""
    found = (_read_role(role) for role in roles if isinstance(role, dict)) if isinstance(roles, list) else ()
    return tuple({box.subdomain: box for box in found if box}.values())


def _read_role(role: Mapping[str, Any]) -> MemberBox | None:
    host, number = _HOST.fullmatch(str(role.get("centre_url") or "").strip()), whole(role.get("boid"))
    if not host or number is None:
        return None
    subdomain = host[1].lower()
    return MemberBox(subdomain=subdomain, aimharder_id=str(number), name=_text(role.get("gym")) or subdomain)


def read_timetable(said: Any) -> tuple[TimetabledClass, ...]:
    """In the listing's own order. Raises ValueError where it isn't a listing."""
    if not isinstance(said, dict) or not isinstance(said.get("bookings"), list) or said.get("logout"):
        raise ValueError("not a listing")
    rows = [row for row in said["bookings"] if isinstance(row, dict) and row.get("id")]
    return tuple(_read_class(row) for row in rows)


def _read_class(row: Mapping[str, Any]) -> TimetabledClass:
    starts, ends = _read_times(row.get("time"))
    cancelled = bool(row.get("cancelledId"))
    return TimetabledClass(
        id=_text(row["id"])[:64],
        name=_text(row.get("className")),
        coach=_text(row.get("coachName")) or None,
        starts=starts,
        ends=ends,
        capacity=whole(row.get("limitc")),
        taken=whole(row.get("ocupation")),
        waiting=max(0, whole(row.get("waitlist")) or 0),
        you=_YOU.get(whole(row.get("bookState"))),
        bookable=not cancelled and not row.get("resadmin") and row.get("enabled") != 0,
        cancelled=cancelled,
    )


def _read_times(said: Any) -> tuple[time | None, time | None]:
    found = _TIMES.search(said) if isinstance(said, str) else None
    if found is None:
        return None, None
    return _read_time(found[1], found[2]), _read_time(found[3], found[4])


def _read_time(hours: str, minutes: str) -> time | None:
    try:
        return time(int(hours) % 24, int(minutes))  # some say 24:00
    except ValueError:
        return None


def _text(said: Any) -> str:
    return "" if said is None else storable(" ".join(str(said).split()), _LONGEST_TEXT)
