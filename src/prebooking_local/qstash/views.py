"""The JSON forms of orders, messages and attempts."""

import base64
from collections.abc import Iterable
from typing import Any

from prebooking_local.qstash.message import Attempt, Message
from prebooking_local.qstash.order import CALLBACK, FAILURE_CALLBACK, Order


def canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def header_map(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(canonical(name), []).append(value)
    return values


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text_or_base64(name: str, data: bytes) -> dict[str, str]:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": base64_of(data)}


def settings_view(order: Order) -> dict[str, Any]:
    """Returns what messages, log entries and dead letters show of the order alike; absent settings are left out."""
    view = {
        "url": order.url,
        "method": order.method,
        "header": header_map(order.redaction.shown_headers(order.forwarded)),
        "maxRetries": order.retries,
        "callerIP": order.caller_ip,
        "callback": order.setting(CALLBACK),
        "failureCallback": order.setting(FAILURE_CALLBACK),
        "scheduleId": order.schedule_id,
        "flowControlKey": order.flow.key if order.flow else None,
        "parallelism": order.flow.parallelism if order.flow else None,
        "retryDelayExpression": order.retry_delay,
        "label": order.setting("upstash-label"),
        "callbackHeader": header_map(order.prefixed(f"{CALLBACK}-")) or None,
        "failureCallbackHeader": header_map(order.prefixed(f"{FAILURE_CALLBACK}-")) or None,
    }
    return {name: value for name, value in view.items() if value is not None}


def message_view(message: Message) -> dict[str, Any]:
    return (
        {"messageId": message.id}
        | settings_view(message.order)
        | text_or_base64("body", message.order.redaction.shown(message.order.body))
        | {"notBefore": round(message.not_before * 1000), "createdAt": round(message.created_at * 1000)}
    )


def response_view(attempt: Attempt) -> dict[str, Any]:
    return {
        "responseStatus": attempt.status,
        "responseHeader": header_map(attempt.answer.headers if attempt.answer else ()),
    } | text_or_base64("responseBody", attempt.body)


def callback_view(message: Message, attempt: Attempt) -> dict[str, Any]:
    """Returns what a callback tells its receiver."""
    order = message.order
    view = {
        "status": attempt.status,
        "header": header_map(attempt.answer.headers if attempt.answer else ()),
        "body": base64_of(attempt.body),
        "retried": attempt.retried,
        "maxRetries": order.retries,
        "sourceMessageId": message.id,
        "url": order.url,
        "method": order.method,
        "sourceHeader": header_map(order.redaction.shown_headers(order.forwarded)),
        "sourceBody": base64_of(order.redaction.shown(order.body)),
        "notBefore": str(round(message.not_before * 1000)),
        "createdAt": str(round(message.created_at * 1000)),
        "callerIP": order.caller_ip,
    }
    return view | ({"scheduleId": order.schedule_id} if order.schedule_id else {})


def inspection_view(message: Message) -> dict[str, Any]:
    """Returns all there is to know, for tests and demonstrations; times in Unix seconds."""
    return message_view(message) | {
        "state": message.state,
        "notBefore": message.not_before,
        "createdAt": message.created_at,
        "attempts": [
            {
                "retried": attempt.retried,
                "sentAt": attempt.sent_at,
                "answeredAt": attempt.answered_at,
                "status": attempt.status,
                "body": attempt.body.decode(errors="replace"),
                "error": attempt.error,
            }
            for attempt in message.attempts
        ],
    }
