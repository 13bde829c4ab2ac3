"""What a publish asks for, read from its headers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from prebooking_local.qstash.destination import checked
from prebooking_local.qstash.durations import seconds_of
from prebooking_local.qstash.expression import milliseconds
from prebooking_local.qstash.redaction import Redaction
from prebooking_local.qstash.refusal import RefusedError

Headers = tuple[tuple[str, str], ...]

CALLBACK = "upstash-callback"
FAILURE_CALLBACK = "upstash-failure-callback"
_FORWARD = "upstash-forward-"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_DEFAULT_RETRIES = 3
_LONGEST_ANSWER_S = 900  # a plan's limit, where the message names none
_INHERITED_BY_CALLBACKS = ("upstash-retries", "upstash-retry-delay", "upstash-timeout")


@dataclass(frozen=True)
class Flow:
    key: str
    parallelism: int


@dataclass(frozen=True)
class Order:
    url: str
    headers: Headers  # Content-Type and all of Upstash-*, by lower-case names
    body: bytes
    caller_ip: str
    method: str
    retries: int
    retry_delay: str | None
    delay_s: int
    not_before: int | None
    timeout_s: int
    deduplication_id: str | None
    content_based_deduplication: bool
    redaction: Redaction
    flow: Flow | None = None
    schedule_id: str | None = None

    def setting(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def forwarded(self) -> Headers:
        """Returns the headers that the publisher wants the destination to receive."""
        content_type = tuple(pair for pair in self.headers if pair[0] == "content-type")
        return content_type + self.prefixed(_FORWARD)

    def prefixed(self, prefix: str) -> Headers:
        """Returns the headers of that prefix, without it."""
        return tuple((key[len(prefix) :], value) for key, value in self.headers if key.startswith(prefix))

    def due_at(self, now: float) -> float:
        return now + self.delay_s if self.not_before is None else self.not_before

    def callback(self, kind: str, body: bytes) -> "Order":
        """Returns the order for its callback of that kind, which it has."""
        url = dict(self.headers)[kind]
        inherited = {name: value for name, value in self.headers if name in _INHERITED_BY_CALLBACKS}
        own = {f"upstash-{name}": value for name, value in self.prefixed(f"{kind}-")}
        if "upstash-delay" in own:
            raise RefusedError(400, f"{kind}-delay is not supported")
        headers = {"content-type": "application/json", **inherited, **own}
        return read_order(checked(url), headers.items(), body, self.caller_ip)


def read_order(url: str, headers: Iterable[tuple[str, str]], body: bytes, caller_ip: str) -> Order:
    kept = tuple((key.lower(), value) for key, value in headers if _concerns_the_message(key.lower()))
    given = dict(kept)
    for key, value in kept:
        if not _fits_a_header(value):
            raise RefusedError(400, f"invalid value of header {key}")
    retries = _whole(given, "upstash-retries", _DEFAULT_RETRIES)
    order = Order(
        url=url,
        headers=kept,
        body=body,
        caller_ip=caller_ip,
        method=_method(given.get("upstash-method", "POST")),
        retries=retries,
        retry_delay=_retry_delay(given.get("upstash-retry-delay"), retries),
        delay_s=seconds_of(given.get("upstash-delay", "0s"), "Upstash-Delay"),
        not_before=_whole(given, "upstash-not-before", -1) if "upstash-not-before" in given else None,
        timeout_s=seconds_of(given.get("upstash-timeout", f"{_LONGEST_ANSWER_S}s"), "Upstash-Timeout"),
        deduplication_id=_deduplication_id(given.get("upstash-deduplication-id")),
        content_based_deduplication=_truth(given.get("upstash-content-based-deduplication", "false")),
        redaction=_redaction(given.get("upstash-redact-fields", "")),
        flow=_flow(given.get("upstash-flow-control-key"), given.get("upstash-flow-control-value", "")),
    )
    for kind in (CALLBACK, FAILURE_CALLBACK):
        if kind in given:
            order.callback(kind, b"")  # refused now rather than when it is due
    return order


def _concerns_the_message(key: str) -> bool:
    return key == "content-type" or key.startswith("upstash-")


def _fits_a_header(value: str) -> bool:
    return value.isprintable() and all(ord(char) < 256 for char in value)


def _method(text: str) -> str:
    if text.upper() not in _METHODS:
        raise RefusedError(400, f"invalid method: {text}")
    return text.upper()


def _whole(given: dict[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch(r"\d{1,15}", text) and name in given:
        raise RefusedError(400, f"invalid {name}: {text!r} is not a whole number")
    return int(text)


def _retry_delay(text: str | None, retries: int) -> str | None:
    """Returns the expression, which has a value before each of the retries (of which a quota allows few)."""
    if text is not None:
        try:
            for retried in range(min(retries, 100) + 1):
                milliseconds(text, retried)
        except ValueError as exc:
            raise RefusedError(400, f"invalid retry delay expression: {exc}") from exc
    return text


def _redaction(text: str) -> Redaction:
    try:
        return Redaction(text)
    except ValueError as exc:
        raise RefusedError(400, f"invalid redact fields: {exc}") from exc


def _flow(key: str | None, text: str) -> Flow | None:
    if key is None:
        return None
    found = re.fullmatch(r"\s*parallelism\s*=\s*([1-9]\d{0,5})\s*", text, re.IGNORECASE)
    if not found:
        raise RefusedError(501, f"of flow control this server knows parallelism alone: {text!r}")
    return Flow(key, int(found[1]))


def _deduplication_id(text: str | None) -> str | None:
    if text is not None and ":" in text:
        raise RefusedError(400, "DeduplicationId cannot contain ':'")
    return text or None


def _truth(text: str) -> bool:
    """Returns a boolean. Python's SDK writes True, JavaScript's true."""
    if text.lower() not in {"true", "false"}:
        raise RefusedError(400, f"invalid boolean: {text!r}")
    return text.lower() == "true"
