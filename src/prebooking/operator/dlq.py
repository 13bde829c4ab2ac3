"""The dead letters with their prebookings: which are still worth it, and what re-driving them means.

A dead letter is not sent again as it is, since it would ring at the wrong time: its prebooking is marked as having no
message, or its notice as untold, and the sweep orders a new one for the right instant.
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
class Case:
    """A dead letter, what it was about, and whether anything is still to be had of it."""

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


async def look(account: QStashAccount, rpc: SupabaseRpc, settings: Settings) -> list[Case]:
    """All of ours, the newest first. Raises MessagingError, StoreUnavailableError.

    What was for a prebooking of this database is ours wherever it went: PUBLIC_URL may have changed since.
    """
    hook = settings.notify_webhook_url.get_secret_value() if settings.notify_webhook_url else None
    letters = await account.dead_letters()
    rings = {letter.id: _ring(letter) for letter in letters}
    ids = sorted({str(ring[0]) for ring in rings.values() if ring})
    answer = await rpc.call("read_prebookings", ids=ids)
    rows = {row.id: row for row in _ROWS.validate_python(answer["prebookings"])}

    def ours(letter: DeadLetter) -> bool:
        ring = rings[letter.id]
        return (
            letter.url.startswith(f"{settings.public_url}/")
            or letter.label == _NOTICE
            or letter.url == hook
            or (ring is not None and ring[0] in rows)
        )

    return [_case(letter, rings[letter.id], rows) for letter in letters if ours(letter)]


def _ring(letter: DeadLetter) -> tuple[UUID, int] | None:
    """Which prebooking and version it rang for; a failure callback quotes the message that failed."""
    try:
        body = json.loads(letter.body)
        if "sourceBody" in body:
            body = json.loads(base64.b64decode(body["sourceBody"]))
        return UUID(body["prebooking_id"]), int(body["version"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # anybody's, of any shape
        return None


def _case(letter: DeadLetter, ring: tuple[UUID, int] | None, rows: dict[UUID, Prebooking]) -> Case:
    if letter.label == _NOTICE or letter.url.endswith("/qstash/notice-failed"):
        return Case(letter, "a notice", worth_it=True)
    if ring is None:
        return Case(letter, letter.url.rpartition("/")[2] or "a message", worth_it=False)
    row = rows.get(ring[0])
    if row is None:
        return Case(letter, "a prebooking that is gone", worth_it=False)
    if row.version != ring[1]:
        return Case(letter, "an earlier opening of a prebooking", worth_it=False, prebooking=row)
    waits = row.status is Status.PENDING
    return Case(letter, f"a {row.status} prebooking", worth_it=waits, prebooking=row, version=ring[1])


async def redrive(cases: Sequence[Case], account: QStashAccount, rpc: SupabaseRpc) -> int:
    """Those that are worth it; how many. Each may be repeated. Raises MessagingError, StoreUnavailableError."""
    again = [case for case in cases if case.worth_it]
    for case in again:
        reason = f"dead letter: HTTP {case.letter.status}"
        if case.prebooking:
            await rpc.call("note_delivery_failure", id=case.prebooking.id, version=case.version, reason=reason)
        else:
            await rpc.call("note_untold", message_id=_source(case.letter), reason=reason)
        await account.forget(case.letter.id)  # last: a crash before it leaves it here
    return len(again)


def _source(letter: DeadLetter) -> str:
    """The message that carried the notice: this one, or the one that a failure callback tells of."""
    try:
        return str(json.loads(letter.body)["sourceMessageId"])
    except (ValueError, TypeError, KeyError):
        return letter.message_id


async def clear(cases: Sequence[Case], account: QStashAccount) -> int:
    """Deletes those that are worth nothing any more; how many."""
    old = [case for case in cases if not case.worth_it]
    for case in old:
        await account.forget(case.letter.id)
    return len(old)


def show(cases: Sequence[Case], out: Console) -> None:
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
