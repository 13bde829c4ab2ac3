"""Whose answer QStash got: this service's, or that of whatever stands before it."""

import json
from typing import Any

import pytest

from prebooking.adapters.qstash.account import answered_by_us
from prebooking.web.problems import Problem

REQUEST_ID = "25d1e56b82622bbf"


def of_ours(status: int, **more: Any) -> str:
    return json.dumps(Problem(status, "Told.", **more).details("/qstash/sweep", REQUEST_ID))


@pytest.mark.parametrize(
    "body",
    [
        *(of_ours(status) for status in (401, 404, 413, 500, 503)),
        of_ours(503, code="not-due", prebooking_id="x" * 400),
        '{"outcome": "malformed", "detail": "not a ping"}',
        '{"outcome": "booked", "prebooking_id": "x"}',
    ],
)
def test_what_this_service_answers_is_known_as_its_own(body: str) -> None:
    assert answered_by_us(body) is True
    assert answered_by_us(body, {"Content-Type": ["application/problem+json"], "X-Request-Id": [REQUEST_ID]}) is True


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<!doctype html><title>Authentication Required</title>",
        "Redirecting...",
        '{"error": {"code": "404", "message": "The deployment could not be found"}}',
        '{"code": "unauthorized"}',
        '{"code": 401, "request_id": 5}',
        '{"type": "about:blank", "title": "Unauthorized", "status": 401}',
        "[]",
        "null",
        "5",
        '"outcome"',
        "[" * 100_000,
    ],
    ids=lambda body: body[:20],
)
def test_what_a_proxy_answers_is_known_as_somebody_elses(body: str) -> None:
    assert answered_by_us(body) is False


def test_an_answer_of_ours_that_passed_a_proxy_on_its_way_is_told_by_its_body() -> None:
    assert answered_by_us(of_ours(401), {"Server": ["cloudflare"], "Content-Type": ["text/plain"]}) is True


def test_a_redirect_is_none_of_ours_whatever_it_says() -> None:
    assert answered_by_us(of_ours(401), {"location": ["https://login.example.com"]}) is False


def test_an_answer_that_is_not_there_is_nobodys() -> None:
    assert answered_by_us(None) is None
    assert answered_by_us("REDACTED:0123") is None
