"""What each delivery of QStash's goes through: a time limit, its signature, and the answer where it is malformed."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from starlette.requests import Request
from starlette.responses import Response

from prebooking.domain.timing import Budget
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


@asynccontextmanager
async def time_limit(services: Services, arrived: float) -> AsyncIterator[None]:
    """Whatever a sender or the database do, a delivery is answered before a platform would kill it."""
    try:
        async with asyncio.timeout(Budget(services.clock, arrived, services.max_duration_s).left):
            yield
    except TimeoutError as exc:
        raise Problem(503, "It took too long.", headers={"Retry-After": "2"}) from exc


async def verified_body(request: Request, services: Services, limit: int = LARGEST_BODY) -> bytes:
    """The body, of which nothing is read before it is known that QStash has signed one for this URL."""
    refuse_larger(request, limit)
    try:
        signed = services.signature_verifier.verify(
            request.headers.get("upstash-signature", ""), path_of(request.scope)
        )
        body = await read_body(request, limit)
        signed.verify(body)
    except InvalidSignatureError as exc:
        services.metrics.refused(exc.check)
        _log.warning("delivery_refused", path=request.url.path, check=str(exc.check), reason=str(exc))
        raise not_signed() from exc
    authenticated(request.scope)
    return body


def not_signed() -> Problem:
    return Problem(401, "This is not a delivery that QStash signed for this service.")


def message_id(request: Request) -> str:
    """Unsigned, so for the log alone."""
    return re.sub(r"[^\w-]", "", request.headers.get("upstash-message-id", ""), flags=re.ASCII)[:_LONGEST_MESSAGE_ID]


def reject(request: Request, what: str, exc: Exception) -> Response:
    _log.warning("delivery_malformed", reason=f"{what}: {type(exc).__name__}")
    return malformed(what).response(request)


def malformed(what: str) -> Problem:
    detail = f"It is signed, but {what}: it need not be tried again."
    return Problem(489, detail, headers={"Upstash-NonRetryable-Error": "true"})


def failure_reason(callback: DeliveryFailure | NoticeFailure) -> str:
    said = ""
    with suppress(ValueError, TypeError):
        said = base64.b64decode(callback.body or "").decode(errors="replace")
    told = f"QStash gave up: HTTP {callback.status} {said}".strip()
    # A proxy's page or a status may hold what no database stores: U+0000, half a surrogate pair.
    return told.replace("\0", "").encode(errors="replace").decode()[:_LONGEST_REASON]
