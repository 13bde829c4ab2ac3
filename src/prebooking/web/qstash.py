"""What QStash delivers: the opening of a prebooking, the failure of a message, a sweep."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import ceil
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.timing import Budget
from prebooking.usecases.endings import Verdict
from prebooking.web.answers import Delivered, Malformed, Noted, Swept
from prebooking.web.deliveries import NotFromQStashError
from prebooking.web.operations import BROKEN, DATABASE_DOWN, QSTASH, Answer, ApiRoute, Operation
from prebooking.web.parts import Parts, parts_of
from prebooking.web.problems import Problem
from prebooking.web.requests import read_body

_log = structlog.get_logger()

# A failure callback quotes the last answer, which may be a proxy's error page.
_LARGEST_CALLBACK = 1024 * 1024
# QStash's own status for "don't try again".
_NOT_RETRYABLE = 489
_LONGEST_REASON = 300
_LONGEST_MESSAGE_ID = 100
_LARGEST_VERSION = 2**31 - 1  # as the column has it


def _integral(value: Any) -> Any:
    """1.0 is an integer, too, as JSON Schema sees it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Ring(BaseModel):
    """The body of a message. What it doesn't know it refuses: a later version may mean something else by it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prebooking_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    version: Annotated[int, Field(ge=1, le=_LARGEST_VERSION), BeforeValidator(_integral)]


class DeliveryFailure(BaseModel):
    """What QStash tells of a message that it has given up on; the bodies are in Base64."""

    sourceBody: str  # noqa: N815  # QStash's word
    status: Annotated[Any, WithJsonSchema({"type": "integer"})] = None
    body: Annotated[Any, WithJsonSchema({"type": ["string", "null"]})] = None


class Ping(BaseModel):
    """The body of a doctor's message."""

    ping: Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class NoticeFailure(BaseModel):
    """What QStash tells of a notice that it could not deliver."""

    sourceMessageId: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=200)]  # noqa: N815  # QStash's word
    status: Any = None
    body: Any = None


async def execute(request: Request) -> Response:
    parts = parts_of(request)
    arrived = parts.clock.monotonic()
    async with _in_time(parts, arrived):
        body = await _verified_body(request, parts)
    try:
        ring = Ring.model_validate_json(body)
        prebooking_id = UUID(ring.prebooking_id)
    except (ValidationError, ValueError) as exc:
        return _refused("not a prebooking's message", exc)
    with structlog.contextvars.bound_contextvars(message_id=_message_id(request)):
        verdict = await parts.executor.execute(prebooking_id, ring.version, arrived)
    await parts.chores.before_sleeping(Budget(parts.clock, arrived, parts.max_duration_s).left)
    return _answer(verdict, prebooking_id)


def _message_id(request: Request) -> str:
    """Unsigned, so for the log alone."""
    return re.sub(r"[^\w-]", "", request.headers.get("upstash-message-id", ""), flags=re.ASCII)[:_LONGEST_MESSAGE_ID]


async def failed(request: Request) -> Response:
    """QStash has given up on a message: the row loses it, the sweep goes on."""
    parts = parts_of(request)
    async with _in_time(parts, parts.clock.monotonic()):
        return await _note_failure(request, parts)


async def _note_failure(request: Request, parts: Parts) -> Response:
    body = await _verified_body(request, parts, _LARGEST_CALLBACK)
    try:
        callback = DeliveryFailure.model_validate(json.loads(body))
        ring = Ring.model_validate_json(base64.b64decode(callback.sourceBody))
        prebooking_id = UUID(ring.prebooking_id)
    except (ValidationError, ValueError, RecursionError) as exc:
        return _refused("not a failure callback of a prebooking's message", exc)
    noted = await parts.store.note_delivery_failure(prebooking_id, ring.version, _reason(callback))
    _log.warning("delivery_failed", prebooking_id=str(prebooking_id), outcome=noted.outcome, reason=_reason(callback))
    return JSONResponse({"outcome": noted.outcome, "prebooking_id": str(prebooking_id)})


async def notice_failed(request: Request) -> Response:
    """QStash has given up on a notice: it is published anew, signed anew."""
    parts = parts_of(request)
    async with _in_time(parts, parts.clock.monotonic()):
        body = await _verified_body(request, parts, _LARGEST_CALLBACK)
        try:
            callback = NoticeFailure.model_validate_json(body)
        except ValidationError as exc:
            return _refused("not a failure callback of a notice", exc)
        outcome = await parts.store.note_untold(callback.sourceMessageId, _reason(callback))
    _log.warning("notice_failed", message_id=callback.sourceMessageId, outcome=outcome, reason=_reason(callback))
    return JSONResponse({"outcome": outcome})


async def ping(request: Request) -> Response:
    """From `prebooking doctor`: that it arrives here, and is believed, is what it wants to know."""
    parts = parts_of(request)
    async with _in_time(parts, parts.clock.monotonic()):
        body = await _verified_body(request, parts)
        try:
            ping_id = UUID(Ping.model_validate_json(body).ping)
        except (ValidationError, ValueError) as exc:
            return _refused("not a ping", exc)
        await parts.store.note_ping(ping_id)
    return JSONResponse({"outcome": "noted"})


async def sweep(request: Request) -> Response:
    """One sweep, for hosts that sleep between requests: what it starts is waited for, within the budget."""
    parts = parts_of(request)
    arrived = parts.clock.monotonic()
    async with _in_time(parts, arrived):
        await _verified_body(request, parts)
        work = await parts.sweeper.sweep(arrived)
    with suppress(TimeoutError):
        async with asyncio.timeout(Budget(parts.clock, arrived, parts.max_duration_s).left):
            await parts.sweeper.settled()
            await parts.chores.once()
    counts = {"execute": len(work.execute), "settle": len(work.settle), "publish": len(work.publish)}
    return JSONResponse({"outcome": "swept", "found": counts})


@asynccontextmanager
async def _in_time(parts: Parts, arrived: float) -> AsyncIterator[None]:
    """Whatever a sender or the database do, a delivery is answered before a platform would kill it."""
    try:
        async with asyncio.timeout(Budget(parts.clock, arrived, parts.max_duration_s).left):
            yield
    except TimeoutError as exc:
        raise Problem(503, "It took too long.", headers={"Retry-After": "2"}) from exc


async def _verified_body(request: Request, parts: Parts, limit: int | None = None) -> bytes:
    body = await (read_body(request, limit) if limit else read_body(request))
    try:
        parts.deliveries.verify(request.headers.get("upstash-signature", ""), body, request.url.path)
    except NotFromQStashError as exc:
        parts.meter.refused(exc.check)
        _log.warning("delivery_refused", path=request.url.path, check=str(exc.check), reason=str(exc))
        raise Problem(401, "This is not a delivery that QStash signed for this service.") from exc
    return body


_PENDING = {
    "held": "Another delivery is executing it.",
    "not-due": "It opens later.",
    "retry-later": "It is tried again later.",
    "database-unavailable": "The database does not answer.",
}


def _answer(verdict: Verdict, prebooking_id: UUID) -> Response:
    if verdict.retry_after is None:
        return JSONResponse({"outcome": verdict.outcome, "prebooking_id": str(prebooking_id)})
    headers = {"Retry-After": str(ceil(verdict.retry_after))}
    raise Problem(
        503, _PENDING[verdict.outcome], code=verdict.outcome, headers=headers, prebooking_id=str(prebooking_id)
    )


def _refused(what: str, exc: Exception) -> Response:
    _log.warning("delivery_malformed", reason=f"{what}: {type(exc).__name__}")
    return JSONResponse(
        {"outcome": "malformed", "detail": what}, _NOT_RETRYABLE, {"Upstash-NonRetryable-Error": "true"}
    )


def _reason(callback: DeliveryFailure | NoticeFailure) -> str:
    said = ""
    with suppress(ValueError, TypeError):
        said = base64.b64decode(callback.body or "").decode(errors="replace")
    told = f"QStash gave up: HTTP {callback.status} {said}".strip()
    # A proxy's page or a status may hold what no database stores: U+0000, half a surrogate pair.
    return told.replace("\0", "").encode(errors="replace").decode()[:_LONGEST_REASON]


_NOT_QSTASH = Problem(401, "This is not a delivery that QStash signed for this service.")
_MALFORMED = Answer(
    "Signed, but none of ours: QStash need not try again.", Malformed, {"Upstash-NonRetryable-Error": "Always true."}
)
_DELIVERIES = (*BROKEN, *DATABASE_DOWN, _NOT_QSTASH, Problem(413, "The body is larger than 16384 bytes."))

ROUTES = [
    ApiRoute(
        "POST",
        "/qstash/prebooking-execute",
        execute,
        Operation(
            id="executePrebooking",
            tag="qstash",
            summary="The message of a prebooking rings",
            security=QSTASH,
            body=Ring,
            answers={200: Answer("This message is done with.", Delivered), _NOT_RETRYABLE: _MALFORMED},
            problems=(
                *_DELIVERIES,
                *(
                    Problem(503, detail, code=code, headers={"Retry-After": "2"})
                    for code, detail in _PENDING.items()
                    if code != "database-unavailable"
                ),
            ),
        ),
    ),
    ApiRoute(
        "POST",
        "/qstash/prebooking-failed",
        failed,
        Operation(
            id="noteDeliveryFailure",
            tag="qstash",
            summary="QStash has given up on a message",
            security=QSTASH,
            body=DeliveryFailure,
            answers={200: Answer("Noted, or nothing to note.", Delivered), _NOT_RETRYABLE: _MALFORMED},
            problems=_DELIVERIES,
        ),
    ),
    ApiRoute(
        "POST",
        "/qstash/notice-failed",
        notice_failed,
        Operation(
            id="noteNoticeFailure",
            tag="qstash",
            summary="QStash could not deliver a notice",
            security=QSTASH,
            body=NoticeFailure,
            answers={200: Answer("Noted, or nothing to note.", Noted), _NOT_RETRYABLE: _MALFORMED},
            problems=_DELIVERIES,
        ),
    ),
    ApiRoute(
        "POST",
        "/qstash/ping",
        ping,
        Operation(
            id="ping",
            tag="qstash",
            summary="Does QStash reach this service?",
            security=QSTASH,
            body=Ping,
            answers={200: Answer("It does.", Noted), _NOT_RETRYABLE: _MALFORMED},
            problems=_DELIVERIES,
        ),
    ),
    ApiRoute(
        "POST",
        "/qstash/sweep",
        sweep,
        Operation(
            id="sweep",
            tag="qstash",
            summary="One sweep, for hosts that sleep between requests",
            security=QSTASH,
            answers={200: Answer("What it found.", Swept)},
            problems=_DELIVERIES,
        ),
    ),
]
