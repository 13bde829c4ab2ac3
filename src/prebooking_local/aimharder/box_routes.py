"""What a box answers: its listing, bookings and cancellations."""

import secrets

from prebooking_local.aimharder import answers, rules
from prebooking_local.aimharder.accounts import Session
from prebooking_local.aimharder.gym import Box, Person
from prebooking_local.aimharder.listing import listing, next_bookings
from prebooking_local.aimharder.moments import is_day
from prebooking_local.aimharder.site import Call
from prebooking_local.aimharder.wire import Answer, as_html, as_json


def _number(text: str | None) -> int:
    """Returns the number; -1, which no id is, for anything else."""
    return int(text) if text and len(text) < 19 and text.isascii() and text.isdigit() else -1


def _person(session: Session, family_id: str | None) -> Person:
    return Person(session.member.email, family_id or "")


def bookings(call: Call, box: Box) -> Answer:
    query = call.request.query
    day = query.get("day", "")
    if not is_day(day) or _number(query.get("box")) != box.boid:
        return as_json({"bookings": [], "timetable": [], "resmsgs": []})  # invented
    session = call.session_at(box)
    viewer = _person(session, query.get("familyId")) if session else None
    gym = call.site.gym
    return as_json(listing(gym, box, day, viewer, now_ns=call.now_ns, stale_ns=call.stale_ns))


def book(call: Call, box: Box) -> Answer:
    session = call.session_at(box)
    if session is None:
        return as_json(answers.LOGOUT)
    form = call.request.form
    wish = rules.Wish(
        box=box,
        class_id=_number(form.get("id")),
        day=form.get("day", ""),
        member=session.member,
        family_id=form.get("familyId", ""),
        insist=form.get("insist") == "1",
        arrived_ns=call.arrived_ns,
        now_ns=call.now_ns,
    )
    return as_json(answers.booking(rules.book(call.site.gym, wish), box, session.member))


def cancel(call: Call, box: Box) -> Answer:
    """Answers a dead session with `logout`, which is invented: only booking and refreshing are on record."""
    session = call.session_at(box)
    if session is None:
        return as_json(answers.LOGOUT)
    form = call.request.form
    state = rules.cancel(
        call.site.gym,
        box,
        _number(form.get("id")),
        session.member.email,
        late=form.get("late") == "1",
        now_ns=call.now_ns,
    )
    return as_json({"cancelState": state})


def upcoming(call: Call, box: Box) -> Answer:
    session = call.session_at(box)
    if session is None:
        return as_json(answers.LOGOUT)
    person = _person(session, call.request.query.get("familyId"))
    return as_json(next_bookings(call.site.gym, box, person))


def schedule(call: Call, box: Box) -> Answer:
    """Answers with the page whose visit gives a PHPSESSID of the box."""
    answer = as_html(f"<script>var schedule = {{ box: {box.boid} }};</script>")
    session = call.site.accounts.owner(call.request.auth)
    if session is not None and call.request.cookies.get("PHPSESSID") not in session.php_ids:
        php_id = secrets.token_hex(13)
        session.php_ids.append(php_id)
        answer.set_cookie("PHPSESSID", php_id, "")
    return answer
