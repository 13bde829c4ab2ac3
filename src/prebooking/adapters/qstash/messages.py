"""Messages that wake the service for an opening, through QStash's own SDK, within a time limit of our own."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256

import httpx
from qstash import AsyncQStash
from qstash.errors import DailyMessageLimitExceededError, QStashError, RateLimitExceededError
from qstash.message import FlowControl, Redact

from prebooking.adapters.qstash.client import open_client
from prebooking.domain.delays import not_before
from prebooking.domain.errors import MessagingError, MessagingTrouble
from prebooking.domain.prebooking import Prebooking

# The SDK waits 600 s for a response and retries a refused connection for 32 s: too long here.
_DEADLINE_S = 2.0
# QStash's free plan refuses more than five. Later ones wait 1, 2, 3 … seconds, or what our Retry-After says.
_RETRIES = 5
_RETRY_DELAY_MS = "1000 * (1 + retried)"
# How much longer QStash waits for our response than we may take.
_TIMEOUT_MARGIN_S = 5
# A notice's signature is valid for five minutes, so QStash retries for about that long, at 5, 15, 35, 75 and 155 s;
# then it is signed again.
_NOTICE_RETRY_DELAY_MS = "5000 * pow(2, retried)"
_NOTICE_TIMEOUT_S = 15
# Invalid, too large, too long, too many header fields: refusals of one message.
_ABOUT_ONE = frozenset({400, 411, 412, 413, 414, 415, 422, 431})
# Refusals with such a status that concern all messages: quotas other than a message's delay and size, and, for messages
# to this service, its URL.
_QUOTA = re.compile(r"quota (?!maxDelay|\w*Size)\w+ exceeded", re.IGNORECASE)
_DESTINATION = re.compile(r"invalid destination", re.IGNORECASE)
# Notices may wait for each other: they use only so many of the account's parallel deliveries, which openings need.
_NOTICE_FLOW: FlowControl = {"key": "prebooking-notices", "parallelism": 2}
# Hidden in QStash's console, log and dead letters: who booked which class, and the signature.
_NOTICE_REDACTED: Redact = {"body": True, "header": ["webhook-signature"]}
# Fixed, so that scheduling it again replaces the existing one.
SWEEP_SCHEDULE = "prebooking-sweep"


@asynccontextmanager
async def open_messages(
    url: str,
    token: str,
    *,
    public_url: str,
    lead_s: float,
    max_duration_s: float,
    forward: Mapping[str, str] | None = None,
) -> AsyncIterator["QStashMessages"]:
    """Opens the client of a replica.

    `forward`: headers that QStash forwards with every call of this service; secrets.
    """
    async with open_client(url, token) as client:
        yield QStashMessages(
            client, public_url=public_url, lead_s=lead_s, max_duration_s=max_duration_s, forward=forward or {}
        )


class Forward:
    """Headers that QStash forwards with every call of this service, as each kind of request names them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers) or None
        self.callback_headers = {f"Forward-{name}": value for name, value in headers.items()} or None
        self.redact: Redact | None = {"header": [*headers]} if headers else None


class QStashMessages:
    """See prebooking.domain.ports.Messages."""

    def __init__(
        self,
        client: AsyncQStash,
        *,
        public_url: str,
        lead_s: float,
        max_duration_s: float,
        forward: Mapping[str, str],
    ) -> None:
        self._client = client
        self._forward = Forward(forward)
        self._execute_url = f"{public_url}/qstash/prebooking-execute"
        self._failed_url = f"{public_url}/qstash/prebooking-failed"
        self._sweep_url = f"{public_url}/qstash/sweep"
        self._notice_failed_url = f"{public_url}/qstash/notice-failed"
        self._address_key = sha256(public_url.encode()).hexdigest()[:8]
        self._lead_s = lead_s
        self._timeout_s = int(max_duration_s) + _TIMEOUT_MARGIN_S

    async def publish(self, prebooking: Prebooking, *, delivery_failures: int = 0) -> str:
        # The address is part of the key: within ten minutes QStash would return the message to the earlier address.
        key = f"pb-{prebooking.id}-v{prebooking.version}-{self._address_key}"
        if delivery_failures:
            key += f"-f{delivery_failures}"
        async with translated("publish"):
            answer = await self._client.message.publish_json(
                url=self._execute_url,
                body={"prebooking_id": str(prebooking.id), "version": prebooking.version},
                not_before=not_before(prebooking.available_at, self._lead_s),
                deduplication_id=key,
                label="prebooking",
                retries=_RETRIES,
                retry_delay=_RETRY_DELAY_MS,
                timeout=f"{self._timeout_s}s",
                failure_callback=self._failed_url,
                headers=self._forward.headers,
                failure_callback_headers=self._forward.callback_headers,
                # Not the body, which a failure callback quotes to identify the prebooking. No flow control: it would
                # delay messages that are delivered at one instant.
                redact=self._forward.redact,
            )
            return str(answer.message_id)  # type: ignore[union-attr]  # one URL, one answer

    async def forward(self, url: str, body: str, headers: Mapping[str, str], *, deduplication_id: str) -> str:
        """Publishes a notice to the URL of another service. Returns the message's id. Raises MessagingError."""
        async with translated("notice", to_us=False):
            answer = await self._client.message.publish(
                url=url,
                body=body.encode(),
                content_type="application/json",
                headers=dict(headers),
                deduplication_id=deduplication_id,
                label="prebooking-notice",
                retries=_RETRIES,
                retry_delay=_NOTICE_RETRY_DELAY_MS,
                timeout=f"{_NOTICE_TIMEOUT_S}s",
                failure_callback=self._notice_failed_url,
                failure_callback_headers=self._forward.callback_headers,
                flow_control=_NOTICE_FLOW,
                redact=_NOTICE_REDACTED,
            )
            return str(answer.message_id)  # type: ignore[union-attr]  # one URL, one answer

    async def delete(self, message_id: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", message_id):
            return  # not an id of QStash's: an empty one, or a path, would mean all messages of the account
        try:
            async with translated("delete"):
                await self._client.message.cancel(message_id)
        except MessagingError as exc:
            if exc.trouble is not MessagingTrouble.NOT_FOUND:
                raise

    async def schedule_sweep(self, every_minutes: int) -> str:
        async with translated("schedule"):
            return await self._client.schedule.create(
                destination=self._sweep_url,
                cron=f"*/{every_minutes} * * * *",
                schedule_id=SWEEP_SCHEDULE,
                retries=0,  # the next call comes soon
                timeout=f"{self._timeout_s}s",
                label="prebooking-sweep",
                headers=self._forward.headers,
                redact=self._forward.redact,
            )


@asynccontextmanager
async def translated(what: str, *, to_us: bool = True) -> AsyncIterator[None]:
    """Translates the SDK's exceptions. `to_us`: the message is for this service, as those of prebookings are."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            yield
    except QStashError as exc:
        pause = not _is_about_one(exc, to_us=to_us)
        raise MessagingError(f"QStash, {what}: {exc}", pause=pause, trouble=_trouble_of(exc)) from exc
    except (TimeoutError, httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise MessagingError(f"QStash, {what}: {type(exc).__name__} {exc}".rstrip(), pause=True) from exc


def _is_about_one(exc: QStashError, *, to_us: bool) -> bool:
    """Returns whether QStash refuses this message only. Other refusals concern the account, or all our messages."""
    if _status_of(exc) not in _ABOUT_ONE or _QUOTA.search(str(exc)):
        return False
    return not (to_us and _DESTINATION.search(str(exc)))


_TROUBLES = {
    401: MessagingTrouble.TOKEN_REFUSED,
    403: MessagingTrouble.READ_ONLY,
    404: MessagingTrouble.NOT_FOUND,
    429: MessagingTrouble.LIMITED,
}


def _trouble_of(exc: QStashError) -> MessagingTrouble:
    trouble = _TROUBLES.get(_status_of(exc) or 0, MessagingTrouble.OTHER)
    if trouble is MessagingTrouble.NOT_FOUND and "in this region" in str(exc):
        return MessagingTrouble.OTHER_REGION
    return trouble


def _status_of(exc: QStashError) -> int | None:
    """Returns the HTTP status, which the SDK's exceptions have in their text alone."""
    if isinstance(exc, RateLimitExceededError | DailyMessageLimitExceededError):
        return 429
    found = re.search(r"status: (\d{3})", str(exc))
    return int(found[1]) if found else None
