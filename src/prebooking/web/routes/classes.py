"""Routes of the user's gyms and their classes, requested from AimHarder with the user's session."""

from datetime import date, datetime, time
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from prebooking.domain.classes import MemberBox, TimetabledClass
from prebooking.domain.cookies import Domain
from prebooking.domain.days import read_day
from prebooking.domain.errors import (
    BoxNumberUnknownError,
    BoxSilentError,
    SessionEndedError,
    SessionMissingError,
    TooOftenError,
)
from prebooking.domain.opening_rules import OpeningRule, on_the_wall_clock
from prebooking.web.openapi.operations import OF_USERS, ApiRoute, Operation, ResponseSpec
from prebooking.web.problems import Problem, invalid, invalid_from, too_often
from prebooking.web.schemas.fields import BoxLabel, BoxNumber, Day
from prebooking.web.schemas.opens import Rule, TimeZone
from prebooking.web.services import services_of


def _for_the_rule(value: str | None, info: ValidationInfo) -> str | None:
    if value is None and (info.data.get("days_before") is not None or info.data.get("hours_before") is not None):
        raise ValueError("is missing: a rule needs the gym's time zone, such as Europe/Madrid")
    return value


class ClassesQuery(Rule):
    """The day, and optionally the gym's opening rule, by which `opens_at` is computed."""

    subdomain: Annotated[BoxLabel, Field(description="The gym's sub-domain at AimHarder.")]
    day: Day
    box_aimharder_id: Annotated[
        BoxNumber | None,
        Field(description="The gym's number at AimHarder, if AimHarder does not list the gym among yours."),
    ] = None
    time_zone: Annotated[
        TimeZone | None,
        AfterValidator(_for_the_rule),
        Field(
            description="The gym's IANA time zone. With it `starts_at` is set and, with a rule, `opens_at`.",
            validate_default=True,
        ),
    ] = None


class BoxView(TypedDict):
    """A gym of the user's. A prebooking refers to it by these names. `domain`: absent if it is aimharder.com."""

    subdomain: str
    aimharder_id: str
    domain: NotRequired[Domain]
    name: str


def box_view(box: MemberBox) -> BoxView:
    view = BoxView(subdomain=box.subdomain, aimharder_id=box.aimharder_id, name=box.name)
    return view if box.domain in (None, Domain.COM) else view | {"domain": box.domain}


class BoxList(BaseModel):
    """The user's gyms."""

    boxes: list[BoxView]


class ClassView(BaseModel):
    """A class. `starts` and `ends` are local times, `starts_at` and `opens_at` timestamps. Unknown fields are null."""

    id: str
    name: str
    coach: str | None
    starts: str | None
    ends: str | None
    starts_at: datetime | None
    opens_at: datetime | None
    capacity: int | None
    taken: int | None
    waiting: int
    you: Literal["booked", "waiting_list"] | None
    bookable: bool
    cancelled: bool


class ClassList(BaseModel):
    """The classes of one day in the order of the gym's listing, which is at most a few seconds old."""

    box_subdomain: str
    box_aimharder_id: str
    day: str
    classes: list[ClassView]


async def boxes(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    try:
        found = await services.class_listings.boxes(user)
    except _REFUSALS as exc:
        raise _refusal(exc) from exc
    views = [box_view(box) for box in found]
    return JSONResponse(BoxList(boxes=views).model_dump(mode="json"))


async def classes(request: Request) -> Response:
    services = services_of(request)
    user = await services.users.email(request)
    try:
        query = ClassesQuery.model_validate(dict(request.query_params) | request.path_params)
    except ValidationError as exc:
        raise invalid_from(exc) from exc
    try:
        found = await services.class_listings.classes(user, query.subdomain, query.box_aimharder_id, query.day)
    except _REFUSALS as exc:
        raise _refusal(exc) from exc
    listing = ClassList(
        box_subdomain=found.box.subdomain,
        box_aimharder_id=found.box.aimharder_id,
        day=query.day,
        classes=[_view(one, query) for one in found.classes],
    )
    return JSONResponse(listing.model_dump(mode="json"))


def _view(one: TimetabledClass, query: ClassesQuery) -> ClassView:
    day = read_day(query.day)
    zone = query.time_zone
    return ClassView(
        id=one.id,
        name=one.name,
        coach=one.coach,
        starts=_shown(one.starts),
        ends=_shown(one.ends),
        starts_at=on_the_wall_clock(day, one.starts, zone) if zone and one.starts else None,
        opens_at=_opens_at(day, one.starts, query),
        capacity=one.capacity,
        taken=one.taken,
        waiting=one.waiting,
        you=one.you,
        bookable=one.bookable,
        cancelled=one.cancelled,
    )


def _opens_at(day: date, starts: time | None, query: ClassesQuery) -> datetime | None:
    if query.time_zone is None or (query.days_before is None and query.hours_before is None):
        return None
    rule = OpeningRule(
        zone=query.time_zone, days_before=query.days_before, at=query.at, hours_before=query.hours_before
    )
    return rule.opens_at(day, starts) if starts or not rule.needs_start else None


def _shown(at: time | None) -> str | None:
    return None if at is None else f"{at:%H:%M}"


def _missing() -> Problem:
    detail = "You have not connected an AimHarder session: sign in by POST /session, or connect one by PUT /session."
    return Problem(409, detail, code="session-missing")


def _ended() -> Problem:
    detail = "Your AimHarder session has expired: sign in there again by POST /session, or connect a new one by PUT."
    return Problem(409, detail, code="session-expired")


def _silent() -> Problem:
    detail = "AimHarder does not respond: try again in a moment, or check the gym's sub-domain."
    return Problem(503, detail, code="gym-unreachable", headers={"Retry-After": "5"})


def _unnamed() -> Problem:
    fix = "is missing: AimHarder does not list this gym among yours; check the sub-domain, or send the gym's number"
    return invalid("box_aimharder_id", fix)


def _too_often(refused: TooOftenError) -> Problem:
    return too_often(
        f"Your gyms and classes were requested {refused.limit} times within a minute, the maximum", refused.retry_after
    )


_REFUSALS = (SessionMissingError, SessionEndedError, BoxSilentError, BoxNumberUnknownError, TooOftenError)


def _refusal(exc: Exception) -> Problem:
    match exc:
        case SessionMissingError():
            return _missing()
        case SessionEndedError():
            return _ended()
        case BoxNumberUnknownError():
            return _unnamed()
        case TooOftenError():
            return _too_often(exc)
        case _:
            return _silent()


ROUTES = [
    ApiRoute(
        "GET",
        "/boxes",
        boxes,
        Operation(
            id="listBoxes",
            tag="boxes",
            summary="List the user's gyms",
            responses={200: ResponseSpec("The user's gyms at AimHarder.", BoxList)},
            problems=(*OF_USERS, _missing(), _ended(), _silent(), _too_often(TooOftenError(60, 17))),
        ),
    ),
    ApiRoute(
        "GET",
        "/boxes/{subdomain}/classes",
        classes,
        Operation(
            id="listClasses",
            tag="boxes",
            summary="List the classes of a gym on one day",
            description="Lists the classes with the user's AimHarder session; the list is cached for five seconds."
            " With the gym's opening rule (`days_before`, optionally with `at`, or `hours_before`) each class has"
            " `opens_at`.",
            query=ClassesQuery,
            responses={200: ResponseSpec("The classes of the day.", ClassList)},
            problems=(
                *(*OF_USERS, invalid("day", "is not a day: write it as YYYYMMDD, such as 20301128"), _unnamed()),
                *(_missing(), _ended(), _silent(), _too_often(TooOftenError(60, 17))),
            ),
        ),
    ),
]
