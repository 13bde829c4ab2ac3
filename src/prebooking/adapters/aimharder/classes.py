"""Parses AimHarder's listing and whoami for users who choose a class. Entries that can't be read are left out."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from prebooking.adapters.aimharder.answers import plain_text, read_whoami, storable
from prebooking.adapters.aimharder.listing import Row, is_true, read_rows, whole
from prebooking.domain.classes import MemberBox, TimetabledClass
from prebooking.domain.cookies import Domain

_HOST = re.compile(
    r"(?:https?://)?([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(aimharder\.(?:com|es))(?:[:/].*)?", re.IGNORECASE
)
_LIMIT = re.compile(r"([0-9]{1,6})(?:\s*\(([0-9]{1,6})\))?")  # the capacity, and how many are waiting
_LONGEST_TEXT = 200
_YOU: Mapping[int | None, Literal["booked", "waiting_list"]] = {1: "booked", 0: "waiting_list"}


def read_boxes(said: Any) -> tuple[MemberBox, ...] | None:
    """Returns the boxes of a whoami, or None if the session is dead. Raises ValueError if the answer does not say."""
    if not read_whoami(said):
        return None
    people = [person for person in said["data"] if isinstance(person, dict)]
    return read_roles([role for person in people if isinstance(person.get("roles"), list) for role in person["roles"]])


def read_roles(roles: Any) -> tuple[MemberBox, ...]:
    """Returns the boxes of a member's roles, as whoami and login list them."""
    found = (_read_role(role) for role in roles if isinstance(role, dict)) if isinstance(roles, list) else ()
    return tuple({box.subdomain: box for box in found if box}.values())


def _read_role(role: Mapping[str, Any]) -> MemberBox | None:
    host, number = _HOST.fullmatch(str(role.get("centre_url") or "").strip()), whole(role.get("boid"))
    if not host or number is None:
        return None
    subdomain = host[1].lower()
    return MemberBox(
        subdomain=subdomain,
        aimharder_id=str(number),
        domain=Domain(host[2].lower()),
        name=plain_text(role.get("gym")) or subdomain,
    )


def read_timetable(said: Any) -> tuple[TimetabledClass, ...]:
    """Returns the classes in the listing's order. Raises ValueError if it is not a listing."""
    return tuple(_read_class(row) for row in read_rows(said).rows)


def _read_class(row: Row) -> TimetabledClass:
    fields = row.fields
    cancelled = is_true(fields.get("cancelledId"))
    limit = _LIMIT.match(str(fields.get("limit")))
    capacity, waiting = whole(fields.get("limitc")), whole(fields.get("waitlist"))
    return TimetabledClass(
        id=storable(row.id, _LONGEST_TEXT),
        name=plain_text(fields.get("className")),
        coach=plain_text(fields.get("coachName")) or None,
        starts=row.starts,
        ends=row.ends,
        capacity=capacity if capacity is not None or limit is None else int(limit[1]),
        taken=whole(fields.get("ocupation")),
        waiting=max(0, waiting if waiting is not None else whole(limit and limit[2]) or 0),
        you=_YOU.get(whole(fields.get("bookState"))),
        bookable=not cancelled and not is_true(fields.get("resadmin")) and whole(fields.get("enabled")) != 0,
        cancelled=cancelled,
    )
