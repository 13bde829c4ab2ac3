"""What schemathesis needs to get past the door and into the rooms; its command line loads this.

JSON Schema can't say everything: what it leaves open, well-formed requests get right here, so that each of them has to
be accepted.
"""

import base64
import json
import os
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis.auths import GLOBAL_AUTH_STORAGE
from tests.support.signing import body_of, signature

TOKEN = os.environ.get("ACCESS_TOKEN", "")
SERVICE_KEY = os.environ.get("SERVICE_KEY", "")
CALENDAR = os.environ.get("CALENDAR_SECRET", "0" * 40)
SESSION = json.loads(os.environ.get("LIVING_SESSION", "null"))
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

# In JSON Schema a time zone is any text.
CLASSES_RULE = {"days_before": "4", "time_zone": "Europe/Madrid"}
WEEKLY_RULE = {"days_before": 4, "time_zone": "Europe/Madrid"}
CLASS = {"starts": "08:00", "time_zone": "Europe/Madrid"}
RULE = {"days_before": 4, "starts": "08:00", "time_zone": "Europe/Madrid"}

_OFFSETS = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))])
_INSTANTS = st.datetimes(datetime(2000, 1, 2), datetime(2100, 12, 30), timezones=_OFFSETS)  # noqa: DTZ001
schemathesis.openapi.format("date-time", _INSTANTS.map(lambda moment: moment.isoformat().replace("+00:00", "Z")))


class Signed(AuthBase):
    """As QStash signs: over the URL and the bytes that leave."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body: Any = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        request.headers["Upstash-Signature"] = signature(str(request.url).partition("?")[0], content)
        return request


class SignedIn(AuthBase):
    """As a user of Supabase."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {TOKEN}"
        return request


class Server(AuthBase):
    """As a trusted server, such as Prometheus."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {SERVICE_KEY}"
        return request


if TOKEN:
    GLOBAL_AUTH_STORAGE.set_from_requests(Server()).apply_to(path_regex="^/metrics")
    GLOBAL_AUTH_STORAGE.set_from_requests(Signed()).apply_to(path_regex="^/qstash/")
    GLOBAL_AUTH_STORAGE.set_from_requests(SignedIn()).apply_to(
        path_regex="^/(prebookings|series|boxes|session|calendar$)"
    )


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label == "GET /calendar/{secret}.ics":
        case.path_parameters = {"secret": CALENDAR}
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)  # only the service's own are cursors
        if case.operation.label == "GET /boxes/{subdomain}/classes":
            case.path_parameters = {"subdomain": "mygym"}  # the one that there is
            case.query = {"day": case.query["day"]} | CLASSES_RULE
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid4())  # one for each wish
    body: Any = case.body
    right = _put_right(case.operation.label, body)
    if right is not body:  # schemathesis looks again at what is assigned
        case.body = right


def _put_right(label: str, body: Any) -> Any:
    match label, body:
        case "POST /qstash/prebooking-failed", dict():
            body["sourceBody"] = base64.b64encode(body_of(str(uuid4()))).decode()
        case "PUT /session", dict():
            return SESSION
        case "POST /prebookings", {"booking_data": {"day": str(day), **rest}}:
            # The class lies ahead, and after its opening.
            data: dict[str, Any] = {str(name): value for name, value in rest.items()}
            data["day"] = f"{2060 + int(day[:4]) % 10 * 4}{day[4:]}"
            data.pop("classTimeUTC", None)
            opening: dict[str, Any] = {"opens": RULE} if body.get("opens") else {"available_at": SOON}
            box = {name: body[name] for name in ("box_subdomain", "box_aimharder_id")}
            by_hour = {"class": CLASS | {"name": body["class"].get("name")}} if body.get("class") else {}
            return {**box, "booking_data": data, **by_hour, **opening}
        case (("PATCH /prebookings/{id}" | "POST /prebookings/{id}/retry"), {"available_at": _}):
            body["available_at"] = SOON
        case (("POST /series" | "PATCH /series/{id}"), dict()):
            if "opens" in body:
                body["opens"] = WEEKLY_RULE
            if "last_day" in body:
                body["first_day"] = None  # may not be later, nor one that is stored
            elif "first_day" in body:
                body["last_day"] = None
    return body
