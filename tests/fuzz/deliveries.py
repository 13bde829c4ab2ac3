"""What anybody can post to the routes of QStash, and what QStash itself could."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from hypothesis import strategies as st
from starlette.requests import Request
from tests.fuzz.inputs import inputs
from tests.support.signing import EXECUTE, FAILED, body_of, callback_of, signature

from prebooking.adapters.clock import SystemClock
from prebooking.domain.budget import Budget
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.domain.transitions import Transition
from prebooking.usecases.booking.record import DeliveryResult
from prebooking.web.qstash_signature import InvalidSignatureError, RejectionReason, SignatureVerifier
from prebooking.web.routes import qstash
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY

URL = "https://prebooking.example.com"
SOME_ID = "00000000-0000-4000-8000-000000000000"
DELIVERIES = SignatureVerifier(URL, ((DEV_CURRENT_KEY, DEV_NEXT_KEY),))
_CLAIMS = ("iss", "sub", "iat", "exp", "nbf", "jti", "body", "aud")


def refused(signed: str) -> None:
    """Nothing that was made up is QStash's, and the reason is one of the known."""
    with pytest.raises(InvalidSignatureError) as found:
        DELIVERIES.verify(signed, EXECUTE).verify_body(b"{}")
    assert found.value.reason in RejectionReason


def a_signature(data: bytes) -> None:
    refused(data.decode("latin-1"))


def signed_claims(data: bytes) -> None:
    refused(jwt.PyJWS().encode(data, DEV_CURRENT_KEY, "HS256"))


class Surroundings:
    """Believes every row to be there, and takes nothing that no database would store."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.signature_verifier = DELIVERIES
        self.max_duration_s = 10.0
        self.executor = self
        self.store = self
        self.background_tasks = self
        self.sweeper = self

    @asynccontextmanager
    async def awake(self, budget: Budget) -> AsyncIterator[None]:
        yield

    async def execute(self, prebooking_id: Any, version: int, budget: Budget) -> DeliveryResult:
        assert 1 <= version < 2**31
        return DeliveryResult("unknown_prebooking", None)

    async def before_sleeping(self, within_s: float) -> None:
        pass

    async def after_answer(self, within_s: float) -> None:
        pass

    async def note_delivery_failure(self, prebooking_id: Any, version: int, reason: str) -> Transition:
        assert 1 <= version < 2**31
        assert "\0" not in reason
        assert len(reason.encode()) <= 1200
        return Transition(outcome=StoreOutcome.UNKNOWN_PREBOOKING)


def posted(path: str, body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    signed = signature(URL + path, body).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "scheme": "http",
        "server": ("prebooking", 80),
        "headers": [(b"upstash-signature", signed)],
        "state": {"services": Surroundings()},
    }
    return Request(scope, receive)


def a_message(data: bytes) -> None:
    assert asyncio.run(qstash.execute(posted(EXECUTE, data))).status_code in (200, 489)


def a_callback(data: bytes) -> None:
    assert asyncio.run(qstash.failed(posted(FAILED, data))).status_code in (200, 489)


_SIGNED = signature("https://other.example.com" + EXECUTE, b"{}").encode()
TARGETS: dict[str, tuple[Any, st.SearchStrategy[bytes]]] = {
    "a delivery's signature": (a_signature, inputs(_SIGNED)),
    "a delivery's claims": (signed_claims, inputs(_SIGNED.split(b".")[1], names=_CLAIMS)),
    "a message": (a_message, inputs(body_of(SOME_ID), names=("prebooking_id", "version"))),
    "a failure callback": (
        a_callback,
        inputs(callback_of(SOME_ID), names=("status", "body", "sourceBody", "sourceMessageId")),
    ),
}
