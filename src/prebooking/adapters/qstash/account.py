"""The QStash account for its operator: keys, the sweep's schedule, dead letters."""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from qstash import AsyncQStash
from qstash.dlq import DlqMessage

from prebooking.adapters.qstash.client import open_client
from prebooking.adapters.qstash.messages import Forward, translated
from prebooking.domain.errors import MessagingError, MessagingTrouble

_LONGEST_ANSWER = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that QStash gave up on."""

    id: str
    message_id: str
    url: str
    body: str
    label: str
    created_at: datetime
    status: int | None  #: of the last response; None: there was none
    said: str
    by_us: bool | None = None  #: whether the service sent that response, not a proxy in front of it; None: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    id: str
    destination: str
    cron: str
    paused: bool


class QStashAccount:
    """The operator's requests to the account. All methods raise MessagingError."""

    def __init__(self, client: AsyncQStash, forward: Mapping[str, str]) -> None:
        self._client = client
        self._forward = Forward(forward)

    async def signing_keys(self) -> tuple[str, str]:
        """Returns the current and the next signing key."""
        async with translated("signing keys"):
            keys = await self._client.signing_key.get()
            return keys.current, keys.next

    async def schedules(self) -> list[Schedule]:
        """Returns all schedules of the account."""
        async with translated("schedules"):
            return [
                Schedule(id=one.schedule_id, destination=one.destination, cron=one.cron, paused=bool(one.paused))
                for one in await self._client.schedule.list()
            ]

    async def ping(self, url: str, ping_id: UUID) -> str:
        """Sends a message to the service itself, without retries. Returns its id."""
        async with translated("ping"):
            answer = await self._client.message.publish_json(
                url=url,
                body={"ping": str(ping_id)},
                retries=0,
                timeout="10s",
                label="prebooking-ping",
                headers=self._forward.headers,
                redact=self._forward.redact,
            )
            return str(answer.message_id)  # type: ignore[union-attr]  # one URL, one answer

    async def dead_letters(self, most: int = 500) -> list[DeadLetter]:
        """Returns the newest dead letters of the account, also those of other services."""
        found: list[DeadLetter] = []
        cursor = None
        while len(found) < most:
            async with translated("dead letters"):
                page = await self._client.dlq.list(cursor=cursor, count=100)
            found += [_letter(message) for message in page.messages]
            cursor = page.cursor
            if not cursor or not page.messages:
                break
        return found

    async def forget(self, letter_id: str) -> None:
        """Deletes a dead letter. It is no error if there is none any more."""
        try:
            async with translated("dead letter"):
                await self._client.dlq.delete(letter_id)
        except MessagingError as exc:
            if exc.trouble is not MessagingTrouble.NOT_FOUND:
                raise


def _letter(message: DlqMessage) -> DeadLetter:
    body, said = message.body or "", _text_of(message)
    return DeadLetter(
        id=message.dlq_id,
        message_id=message.message_id,
        url=message.url,
        body=body,
        label=message.label or "",
        created_at=datetime.fromtimestamp(message.created_at / 1000, UTC),
        status=message.response_status or None,
        said=(said or "")[:_LONGEST_ANSWER],
        by_us=answered_by_us(said, message.response_headers) if message.response_status else None,
    )


def _text_of(message: DlqMessage) -> str | None:
    """Returns the body of the last response, or None if QStash does not include it."""
    if message.response_body is None and message.response_body_base64 is not None:
        return base64.b64decode(message.response_body_base64).decode(errors="replace")
    return message.response_body


def answered_by_us(body: str | None, headers: Mapping[str, Sequence[str]] | None = None) -> bool | None:
    """Returns whether this service sent a response, not a proxy in front of it, such as a deployment's protection.

    Returns None if the body is unknown. `headers`: in QStash's form.
    """
    if body is None or body.startswith("REDACTED:"):
        return None
    if "location" in {name.lower() for name in headers or ()}:
        return False  # this service redirects nobody
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict):
        return False
    problem = isinstance(said.get("code"), str) and isinstance(said.get("request_id"), str)
    return problem or isinstance(said.get("outcome"), str)


@asynccontextmanager
async def open_account(url: str, token: str, forward: Mapping[str, str] | None = None) -> AsyncIterator[QStashAccount]:
    """Opens the client of the account.

    `forward`: headers that QStash forwards with every call of the service; secrets.
    """
    async with open_client(url, token) as client:
        yield QStashAccount(client, forward or {})
