"""Routes that only QStash calls: execution, failure callbacks, the test message and the sweep."""

import asyncio
import base64
import json
from contextlib import suppress
from math import ceil
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prebooking.usecases.booking.record import DeliveryResult
from prebooking.web.deliveries import (
    budget_of,
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

# A failure callback quotes the last response, which may be a proxy's error page.
_LARGEST_CALLBACK = 256 * 1024


async def execute(request: Request) -> Response:
    services = services_of(request)
    budget = budget_of(services)
    async with time_limit(budget):
        body = await verified_body(request, services)
    try:
        payload = ExecutePayload.model_validate_json(body)
        prebooking_id = UUID(payload.prebooking_id)
    except (ValidationError, ValueError) as exc:
        return reject(request, "not a prebooking's message", exc)
    async with services.sweeper.awake(budget):
        with structlog.contextvars.bound_contextvars(message_id=message_id(request)):
            verdict = await services.executor.execute(prebooking_id, payload.version, budget)
    await services.background_tasks.before_sleeping(budget.left)
    answer = _answer(verdict, prebooking_id)
    answer.background = BackgroundTask(services.background_tasks.after_answer, budget.left)
    return answer


async def failed(request: Request) -> Response:
    """Failure callback of a message: the row is marked as having no message, and the sweep schedules a new one."""
    services = services_of(request)
    async with time_limit(budget_of(services)):
        body = await verified_body(request, services, _LARGEST_CALLBACK)
        try:
            callback = DeliveryFailure.model_validate(json.loads(body))
            payload = ExecutePayload.model_validate_json(base64.b64decode(callback.sourceBody))
            prebooking_id = UUID(payload.prebooking_id)
        except (ValidationError, ValueError, RecursionError) as exc:
            return reject(request, "not a failure callback of a prebooking's message", exc)
        reason = failure_reason(callback)
        noted = await services.store.note_delivery_failure(prebooking_id, payload.version, reason)
    _log.warning("delivery_failed", prebooking_id=str(prebooking_id), outcome=noted.outcome, reason=reason)
    return JSONResponse({"outcome": noted.outcome, "prebooking_id": str(prebooking_id)})


async def notice_failed(request: Request) -> Response:
    """Failure callback of a notification: it is published again with a new signature."""
    services = services_of(request)
    async with time_limit(budget_of(services)):
        body = await verified_body(request, services, _LARGEST_CALLBACK)
        try:
            callback = NoticeFailure.model_validate_json(body)
        except ValidationError as exc:
            return reject(request, "not a failure callback of a notice", exc)
        reason = failure_reason(callback)
        outcome = await services.store.note_notice_failure(callback.sourceMessageId, reason)
    _log.warning("notice_failed", message_id=callback.sourceMessageId, outcome=outcome, reason=reason)
    return JSONResponse({"outcome": outcome})


async def ping(request: Request) -> Response:
    """Records the test message by which `prebooking doctor` checks that QStash reaches the service."""
    services = services_of(request)
    async with time_limit(budget_of(services)):
        body = await verified_body(request, services)
        try:
            ping_id = UUID(Ping.model_validate_json(body).ping)
        except (ValidationError, ValueError) as exc:
            return reject(request, "not a ping", exc)
        await services.store.note_ping(ping_id)
    return JSONResponse({"outcome": "noted"})


async def sweep(request: Request) -> Response:
    """Runs one sweep, for hosts that sleep between requests, and waits within the budget for what it starts."""
    services = services_of(request)
    budget = budget_of(services)
    async with time_limit(budget):
        await verified_body(request, services)
        work = await services.sweeper.sweep(budget)
    with suppress(TimeoutError):
        async with asyncio.timeout(budget.left):
            await services.sweeper.wait_idle()
    await services.background_tasks.within(budget)
    counts = {"execute": len(work.execute), "settle": len(work.settle), "publish": len(work.publish)}
    return JSONResponse({"outcome": "swept", "found": counts})


_PENDING = {
    "held": "Another delivery is executing this prebooking.",
    "not-due": "The class opens later.",
    "retry-later": "The booking is attempted again later.",
    "database-unavailable": "The database does not respond.",
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
    """Returns a route that only QStash may call. One with a body may be answered 489, malformed."""
    operation = Operation(
        id=operation_id,
        tag="qstash",
        summary=summary,
        security=QSTASH,
        body=body,
        responses={200: done},
        problems=(*_PROBLEMS, *problems, *((malformed("not a message of ours"),) if body else ())),
    )
    return ApiRoute("POST", f"/qstash/{name}", handler, operation)


_NOTED = "The failure was recorded, or there was nothing to record."

ROUTES = [
    _delivery(
        "prebooking-execute",
        execute,
        "executePrebooking",
        "Execute a prebooking",
        ResponseSpec("The execution has ended; QStash need not retry.", Delivered),
        body=ExecutePayload,
        problems=_NOT_YET,
    ),
    _delivery(
        "prebooking-failed",
        failed,
        "noteDeliveryFailure",
        "Failure callback of a prebooking's message",
        ResponseSpec(_NOTED, Delivered),
        body=DeliveryFailure,
    ),
    _delivery(
        "notice-failed",
        notice_failed,
        "noteNoticeFailure",
        "Failure callback of a notification",
        ResponseSpec(_NOTED, Noted),
        body=NoticeFailure,
    ),
    _delivery(
        "ping",
        ping,
        "ping",
        "Test message of `prebooking doctor`",
        ResponseSpec("The test message was recorded.", Noted),
        body=Ping,
    ),
    _delivery(
        "sweep",
        sweep,
        "sweep",
        "Run one sweep",
        ResponseSpec("The sweep has run.", Swept),
    ),
]
