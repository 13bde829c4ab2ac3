"""The control routes, for tests and demos: they create gyms and people, inject faults, and read the ledger."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from prebooking_local.aimharder.accounts import Member, Session, SessionRules
from prebooking_local.aimharder.faults import Fault
from prebooking_local.aimharder.gym import Box, GymClass
from prebooking_local.aimharder.moments import Instant
from prebooking_local.aimharder.request import CONTROL, Request
from prebooking_local.aimharder.site import Site
from prebooking_local.aimharder.wire import Answer, as_json

_Model = TypeVar("_Model", bound=BaseModel)


class _SessionOf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    member: str


class _Killing(_SessionOf):
    at: Instant | None = None  # now, if absent


class _ClassNamed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    box: str
    id: int


class _Replacing(_ClassNamed):
    new_id: int
    keeps_places: bool = False


def _each(model: type[_Model], request: Request) -> list[_Model]:
    """Returns the items of a body, which is one of them or a list."""
    body = json.loads(request.body)
    return [model.model_validate(item) for item in (body if isinstance(body, list) else [body])]


def _session_json(session: Session) -> dict[str, Any]:
    return {
        "email": session.member.email,
        "id": session.member.id,
        "cookies": session.cookies(),
        "token": session.token,
        "fingerprint": session.fingerprint,
    }


def _put_boxes(site: Site, request: Request) -> Any:
    boxes = _each(Box, request)
    for box in boxes:
        site.gym.put_box(box)
    return {"boxes": [box.slug for box in boxes]}


def _put_members(site: Site, request: Request) -> Any:
    members = _each(Member, request)
    for member in members:
        site.accounts.put_member(member)
    sessions = [site.accounts.stored_session(member.email, site.clock()) for member in members]
    return {"members": [_session_json(session) for session in sessions]}


def _open_sessions(site: Site, request: Request) -> Any:
    wanted = _each(_SessionOf, request)
    sessions = [site.accounts.stored_session(one.member, site.clock()) for one in wanted]
    return {"members": [_session_json(session) for session in sessions]}


def _kill_sessions(site: Site, request: Request) -> Any:
    killings = _each(_Killing, request)
    return {
        "ended": sum(site.accounts.kill(one.member, site.clock() if one.at is None else one.at) for one in killings)
    }


def _set_session_rules(site: Site, request: Request) -> Any:
    site.accounts.rules = SessionRules.model_validate_json(request.body)
    return site.accounts.rules.model_dump()


def _put_classes(site: Site, request: Request) -> Any:
    classes = _each(GymClass, request)
    for gym_class in classes:
        site.gym.put_class(gym_class)
    return {"classes": [gym_class.id for gym_class in classes]}


def _remove_classes(site: Site, request: Request) -> Any:
    return {"removed": [site.gym.remove_class(one.box, one.id).id for one in _each(_ClassNamed, request)]}


def _replace_classes(site: Site, request: Request) -> Any:
    replacings = _each(_Replacing, request)
    for one in replacings:
        site.gym.replace_class(one.box, one.id, one.new_id, keeps_places=one.keeps_places)
    return {"classes": [one.new_id for one in replacings]}


def _fill_classes(site: Site, request: Request) -> Any:
    named = _each(_ClassNamed, request)
    for one in named:
        site.gym.fill_class(one.box, one.id)
    return {"filled": [one.id for one in named]}


def _add_faults(site: Site, request: Request) -> Any:
    return {"faults": [site.faults.add(fault) for fault in _each(Fault, request)]}


def _list_faults(site: Site, _: Request) -> Any:
    return {"faults": {number: fault.model_dump() for number, fault in site.faults.active.items()}}


def _clear_faults(site: Site, request: Request) -> Any:
    number = request.query.get("id")
    site.faults.clear(int(number) if number else None)
    return _list_faults(site, request)


def _forget_requests(site: Site, _: Request) -> Any:
    site.ledger.entries.clear()
    return {}


def _reset(site: Site, _: Request) -> Any:
    site.reset()
    return {}


_ROUTES: dict[tuple[str, str], Callable[[Site, Request], Any]] = {
    ("POST", "boxes"): _put_boxes,
    ("POST", "members"): _put_members,
    ("POST", "sessions"): _open_sessions,
    ("GET", "sessions"): lambda site, _: {"sessions": [one.as_json() for one in site.accounts.all_sessions()]},
    ("POST", "sessions/kill"): _kill_sessions,
    ("POST", "sessions/rules"): _set_session_rules,
    ("POST", "classes"): _put_classes,
    ("POST", "classes/remove"): _remove_classes,
    ("POST", "classes/replace"): _replace_classes,
    ("POST", "classes/fill"): _fill_classes,
    ("POST", "faults"): _add_faults,
    ("GET", "faults"): _list_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "ledger"): lambda site, _: {"requests": [entry.as_json() for entry in site.ledger.entries]},
    ("DELETE", "ledger"): _forget_requests,
    ("GET", "bookings"): lambda site, _: {"bookings": site.bookings()},
    ("GET", "stamps"): lambda site, _: {"stamps": site.ledger.stamps()},
    ("POST", "reset"): _reset,
}


def control(site: Site, request: Request) -> Answer:
    route = _ROUTES.get((request.method, request.path.removeprefix(CONTROL)))
    if route is None or request.refusal is not None:
        return as_json({"error": f"no control {request.method} {request.path}"}, request.refusal or 404)
    try:
        return as_json(route(site, request))
    except LookupError as exc:
        return as_json({"error": str(exc)}, 404)
    except ValueError as exc:
        return as_json({"error": str(exc)}, 422)
