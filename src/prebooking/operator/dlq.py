"""QStash's dead letters with their prebookings: which can still be delivered, and redriving them.

Redriving does not send the dead letter again, since it would arrive at the wrong time: it marks the prebooking as
having no message, or the notification as not sent, and the sweep publishes a new message for the right instant.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prebooking.adapters.qstash.account import DeadLetter, QStashAccount
from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.plain_text import printable
from prebooking.domain.prebooking import Prebooking, Status
from prebooking.settings import Settings

_ROWS = TypeAdapter(list[Prebooking])
_NOTICE = "prebooking-notice"


@dataclass(frozen=True, slots=True)
class DeadLetterCase:
    """A dead letter, what it was for, and whether redriving it makes sense."""

    letter: DeadLetter
    about: str
    worth_it: bool
    prebooking: Prebooking | None = None
    version: int | None = None

    def as_json(self) -> dict[str, Any]:
        row = self.prebooking
        return {
            "dlq_id": self.letter.id,
            "message_id": self.letter.message_id,
            "url": self.letter.url.partition("?")[0],
            "created_at": self.letter.created_at.isoformat(),
            "status": self.letter.status,
            "said": self.letter.said,
            "answered_by_us": self.letter.by_us,
            "about": self.about,
            "worth_it": self.worth_it,
            "prebooking_id": row and str(row.id),
            "prebooking_status": row and row.status,
        }


async def read(account: QStashAccount, rpc: SupabaseRpc, settings: Settings) -> list[DeadLetterCase]:
    """Returns the dead letters of this service, newest first. Raises MessagingError, StoreUnavailableError.

    One for a prebooking of this database belongs to it whatever its URL: PUBLIC_URL may have changed since.
    """
    hook = settings.notify_webhook_url.get_secret_value() if settings.notify_webhook_url else None
    letters = await account.dead_letters()
    payloads = {letter.id: _payload(letter) for letter in letters}
    ids = sorted({str(payload[0]) for payload in payloads.values() if payload})
    answer = await rpc.call("read_prebookings", ids=ids)
    rows = {row.id: row for row in _ROWS.validate_python(answer["prebookings"])}

    def ours(letter: DeadLetter) -> bool:
        payload = payloads[letter.id]
        return (
            letter.url.startswith(f"{settings.public_url}/")
            or letter.label == _NOTICE
            or letter.url == hook
            or (payload is not None and payload[0] in rows)
        )

    return [_case(letter, payloads[letter.id], rows) for letter in letters if ours(letter)]


def _payload(letter: DeadLetter) -> tuple[UUID, int] | None:
    """Returns the prebooking and version of the message. A failure callback quotes the message that failed."""
    try:
        body = json.loads(letter.body)
        if "sourceBody" in body:
            body = json.loads(base64.b64decode(body["sourceBody"]))
        return UUID(body["prebooking_id"]), int(body["version"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # the body may have any shape
        return None


def _case(letter: DeadLetter, payload: tuple[UUID, int] | None, rows: dict[UUID, Prebooking]) -> DeadLetterCase:
    if letter.label == _NOTICE or letter.url.endswith("/qstash/notice-failed"):
        return DeadLetterCase(letter, "a notice", worth_it=True)
    if payload is None:
        return DeadLetterCase(letter, letter.url.rpartition("/")[2] or "a message", worth_it=False)
    row = rows.get(payload[0])
    if row is None:
        return DeadLetterCase(letter, "a deleted prebooking", worth_it=False)
    if row.version != payload[1]:
        return DeadLetterCase(letter, "an earlier opening of a prebooking", worth_it=False, prebooking=row)
    waits = row.status is Status.PENDING
    return DeadLetterCase(letter, f"a {row.status} prebooking", worth_it=waits, prebooking=row, version=payload[1])


async def redrive(cases: Sequence[DeadLetterCase], account: QStashAccount, rpc: SupabaseRpc) -> int:
    """Redrives those that make sense and returns their number. It may be repeated. Raises MessagingError,
    StoreUnavailableError.
    """
    again = [case for case in cases if case.worth_it]
    for case in again:
        reason = f"dead letter: HTTP {case.letter.status}"
        if case.prebooking:
            await rpc.call("note_delivery_failure", id=case.prebooking.id, version=case.version, reason=reason)
        else:
            await rpc.call("note_untold", message_id=_source(case.letter), reason=reason)
        await account.forget(case.letter.id)  # last: after a crash before it, it can be redriven again
    return len(again)


def _source(letter: DeadLetter) -> str:
    """Returns the id of the notification's message: this one, or the one that the failure callback names."""
    try:
        return str(json.loads(letter.body)["sourceMessageId"])
    except (ValueError, TypeError, KeyError):
        return letter.message_id


async def clear(cases: Sequence[DeadLetterCase], account: QStashAccount) -> int:
    """Deletes those that can't be used any more and returns their number."""
    old = [case for case in cases if not case.worth_it]
    for case in old:
        await account.forget(case.letter.id)
    return len(old)


def show(cases: Sequence[DeadLetterCase], out: Console) -> None:
    if not cases:
        out.print("[green]No dead letters.[/]")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("given up", "last answer", "about", "opens", "worth it"):
        table.add_column(column, no_wrap=column != "last answer")
    for case in cases:
        letter, row = case.letter, case.prebooking
        answer = f"HTTP {letter.status}" if letter.status else "none"
        if letter.by_us is False:
            answer += ", not from this service:"
        table.add_row(
            f"{letter.created_at:%d %b %H:%M}",
            escape(printable(f"{answer} {' '.join(letter.said.split())[:60]}".rstrip())),
            escape(printable(case.about)),
            f"{row.available_at:%d %b %H:%M:%S}" if row else "",
            "[green]yes[/]" if case.worth_it else "[dim]no[/]",
        )
    out.print(table, highlight=False)
