"""Common to all deliveries of QStash: the time limit, the signature, and the response to a malformed one."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from starlette.requests import Request
from starlette.responses import Response

from prebooking.domain.budget import Budget
from prebooking.web.extensions import authenticated
from prebooking.web.middleware.path_prefix import path_of
from prebooking.web.problems import Problem
from prebooking.web.qstash_signature import InvalidSignatureError
from prebooking.web.requests import LARGEST_BODY, read_body, refuse_larger
from prebooking.web.schemas.qstash import DeliveryFailure, NoticeFailure
from prebooking.web.services import Services

_log = structlog.get_logger()

_LONGEST_REASON = 300
_LONGEST_MESSAGE_ID = 100


def budget_of(services: Services) -> Budget:
    """Returns the time that a delivery has which arrives now."""
    return Budget(services.clock, services.clock.monotonic(), services.max_duration_s)


@asynccontextmanager
async def time_limit(budget: Budget) -> AsyncIterator[None]:
    """Raises Problem before the platform would kill a delivery that takes too long."""
    try:
        async with asyncio.timeout(budget.left):
            yield
    except TimeoutError as exc:
        raise Problem(503, "The delivery took too long: it is retried.", headers={"Retry-After": "2"}) from exc


async def verified_body(request: Request, services: Services, limit: int = LARGEST_BODY) -> bytes:
    """Returns the body. It is not read before the signature is verified for this URL. Raises Problem."""
    refuse_larger(request, limit)
    try:
        signature = services.signature_verifier.verify(
            request.headers.get("upstash-signature", ""), path_of(request.scope)
        )
        body = await read_body(request, limit)
        signature.verify_body(body)
    except InvalidSignatureError as exc:
        services.metrics.count_refused_signature(exc.reason)
        _log.warning("delivery_refused", path=request.url.path, check=str(exc.reason), reason=str(exc))
        raise not_signed() from exc
    authenticated(request.scope)
    return body


def not_signed() -> Problem:
    return Problem(
        401, "This delivery is not signed by QStash for this service: check PUBLIC_URL and the signing keys."
    )


def message_id(request: Request) -> str:
    """Returns the message id, for the log only: the header is not signed."""
    return re.sub(r"[^\w-]", "", request.headers.get("upstash-message-id", ""), flags=re.ASCII)[:_LONGEST_MESSAGE_ID]


def reject(request: Request, what: str, exc: Exception) -> Response:
    _log.warning("delivery_malformed", reason=f"{what}: {type(exc).__name__}")
    return malformed(what).response(request)


def malformed(what: str) -> Problem:
    detail = f"The delivery is signed, but {what}: it must not be retried."
    return Problem(489, detail, headers={"Upstash-NonRetryable-Error": "true"})


def failure_reason(callback: DeliveryFailure | NoticeFailure) -> str:
    body = ""
    with suppress(ValueError, TypeError):
        body = base64.b64decode(callback.body or "").decode(errors="replace")
    reason = f"QStash gave up: HTTP {callback.status} {body}".strip()
    # A proxy's page may contain what the database does not store: U+0000, a lone surrogate.
    return reason.replace("\0", "").encode(errors="replace").decode()[:_LONGEST_REASON]
