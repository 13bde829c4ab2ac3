"""What QStash delivers: the opening of a prebooking, the failure of a message, a sweep."""

import asyncio
import base64
import json
from contextlib import suppress
from math import ceil
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.domain.timing import Budget
from prebooking.usecases.booking.record import DeliveryResult
from prebooking.web.deliveries import (
    failure_reason,
    malformed,
    message_id,
    not_signed,
    reject,
    time_limit,
    verified_body,
)
from prebooking.web.openapi.operations import ALWAYS, QSTASH, ApiRoute, Handler, Operation, ResponseSpec
from prebooking.web.problems import DATABASE_DOWN, Problem
from prebooking.web.requests import too_large
from prebooking.web.schemas.qstash import DeliveryFailure, ExecutePayload, NoticeFailure, Ping
from prebooking.web.schemas.responses import Delivered, Noted, Swept
from prebooking.web.services import services_of

_log = structlog.get_logger()

# A failure callback quotes the last answer, which may be a proxy's error page.
_LARGEST_CALLBACK = 256 * 1024


async def execute(request: Request) -> Response:
    services = services_of(request)
    arrived = services.clock.monotonic()
    async with time_limit(services, arrived):
        body = await verified_body(request, services)
    try:
        ring = ExecutePayload.model_validate_json(body)
        prebooking_id = UUID(ring.prebooking_id)
    except (ValidationError, ValueError) as exc:
        return reject(request, "not a prebooking's message", exc)
    budget = Budget(services.clock, arrived, services.max_duration_s)
    async with services.sweeper.awake(budget):
        with structlog.contextvars.bound_contextvars(message_id=message_id(request)):
            verdict = await services.executor.execute(prebooking_id, ring.version, arrived)
    await services.background_tasks.before_sleeping(budget.left)
    return _answer(verdict, prebooking_id)


async def failed(request: Request) -> Response:
    """QStash has given up on a message: the row loses it, the sweep goes on."""
    services = services_of(request)
    async with time_limit(services, services.clock.monotonic()):
        body = await verified_body(request, services, _LARGEST_CALLBACK)
        try:
            callback = DeliveryFailure.model_validate(json.loads(body))
            ring = ExecutePayload.model_validate_json(base64.b64decode(callback.sourceBody))
            prebooking_id = UUID(ring.prebooking_id)
        except (ValidationError, ValueError, RecursionError) as exc:
            return reject(request, "not a failure callback of a prebooking's message", exc)
        reason = failure_reason(callback)
        noted = await services.store.note_delivery_failure(prebooking_id, ring.version, reason)
    _log.warning("delivery_failed", prebooking_id=str(prebooking_id), outcome=noted.outcome, reason=reason)
    return JSONResponse({"outcome": noted.outcome, "prebooking_id": str(prebooking_id)})


async def notice_failed(request: Request) -> Response:
    """QStash has given up on a notice: it is published anew, signed anew."""
    services = services_of(request)
    async with time_limit(services, services.clock.monotonic()):
        body = await verified_body(request, services, _LARGEST_CALLBACK)
        try:
            callback = NoticeFailure.model_validate_json(body)
        except ValidationError as exc:
            return reject(request, "not a failure callback of a notice", exc)
        reason = failure_reason(callback)
        outcome = await services.store.note_untold(callback.sourceMessageId, reason)
    _log.warning("notice_failed", message_id=callback.sourceMessageId, outcome=outcome, reason=reason)
    return JSONResponse({"outcome": outcome})


async def ping(request: Request) -> Response:
    """From `prebooking doctor`: that it arrives here, and is believed, is what it wants to know."""
    services = services_of(request)
    async with time_limit(services, services.clock.monotonic()):
        body = await verified_body(request, services)
        try:
            ping_id = UUID(Ping.model_validate_json(body).ping)
        except (ValidationError, ValueError) as exc:
            return reject(request, "not a ping", exc)
        await services.store.note_ping(ping_id)
    return JSONResponse({"outcome": "noted"})


async def sweep(request: Request) -> Response:
    """One sweep, for hosts that sleep between requests: what it starts is waited for, within the budget."""
    services = services_of(request)
    arrived = services.clock.monotonic()
    async with time_limit(services, arrived):
        await verified_body(request, services)
        work = await services.sweeper.sweep(arrived)
    budget = Budget(services.clock, arrived, services.max_duration_s)
    with suppress(TimeoutError):
        async with asyncio.timeout(budget.left):
            await services.sweeper.settled()
    await services.background_tasks.within(budget)
    counts = {"execute": len(work.execute), "settle": len(work.settle), "publish": len(work.publish)}
    return JSONResponse({"outcome": "swept", "found": counts})


_PENDING = {
    "held": "Another delivery is executing it.",
    "not-due": "It opens later.",
    "retry-later": "It is tried again later.",
    "database-unavailable": "The database does not answer.",
}


def _answer(verdict: DeliveryResult, prebooking_id: UUID) -> Response:
    if verdict.retry_after is None:
        return JSONResponse({"outcome": verdict.outcome, "prebooking_id": str(prebooking_id)})
    headers = {"Retry-After": str(ceil(verdict.retry_after))}
    raise Problem(
        503, _PENDING[verdict.outcome], code=verdict.outcome, headers=headers, prebooking_id=str(prebooking_id)
    )


_PROBLEMS = (*ALWAYS, DATABASE_DOWN, not_signed(), too_large())
_NOT_YET = tuple(
    Problem(503, detail, code=code, headers={"Retry-After": "2"})
    for code, detail in _PENDING.items()
    if code != "database-unavailable"
)


def _delivery(
    name: str,
    handler: Handler,
    operation_id: str,
    summary: str,
    done: ResponseSpec,
    *,
    body: type[BaseModel] | None = None,
    problems: tuple[Problem, ...] = (),
) -> ApiRoute:
    """A route that QStash alone may call; one with a body may be told that it is none of ours."""
    operation = Operation(
        id=operation_id,
        tag="qstash",
        summary=summary,
        security=QSTASH,
        body=body,
        answers={200: done},
        problems=(*_PROBLEMS, *problems, *((malformed("not a message of ours"),) if body else ())),
    )
    return ApiRoute("POST", f"/qstash/{name}", handler, operation)


_NOTED = "Noted, or nothing to note."

ROUTES = [
    _delivery(
        "prebooking-execute",
        execute,
        "executePrebooking",
        "The message of a prebooking rings",
        ResponseSpec("This message is done with.", Delivered),
        body=ExecutePayload,
        problems=_NOT_YET,
    ),
    _delivery(
        "prebooking-failed",
        failed,
        "noteDeliveryFailure",
        "QStash has given up on a message",
        ResponseSpec(_NOTED, Delivered),
        body=DeliveryFailure,
    ),
    _delivery(
        "notice-failed",
        notice_failed,
        "noteNoticeFailure",
        "QStash could not deliver a notice",
        ResponseSpec(_NOTED, Noted),
        body=NoticeFailure,
    ),
    _delivery("ping", ping, "ping", "Does QStash reach this service?", ResponseSpec("It does.", Noted), body=Ping),
    _delivery(
        "sweep",
        sweep,
        "sweep",
        "One sweep, for hosts that sleep between requests",
        ResponseSpec("What it found.", Swept),
    ),
]
