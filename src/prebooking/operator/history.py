"""`prebooking show ID`: what happened to one prebooking, in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.domain.history import HistoryEvent
from prebooking.domain.outcome import SENTENCES
from prebooking.domain.plain_text import printable
from prebooking.domain.prebooking import Prebooking
from prebooking.operator.rows_table import class_of
from prebooking.settings import Settings

_WORDS = {
    "created": "Created.",
    "adopted": "Written by the web application.",
    "message_ordered": "QStash took the message {message_id}.",
    "delivery_failed": "QStash could not deliver the message {message_id}: {reason}.",
    "claimed": "Attempt {attempt} begins: everything is made ready.",
    "begun": "Everything is ready: the request may leave from now on.",
    "released": "Not booked, to be tried again: {outcome}",
    "parked": "What became of the request is not known: the gym is asked later. {outcome}",
    "settled": "The gym was asked what became of the request: it is {reason}.",
    "finished": "Ended: {outcome}",
    "cancelled": "Cancelled.",
    "rescheduled": "Moved: it opens {opening}.",
    "retried": "To be tried once more, by hand.",
    "given_back": "The place was given back.",
}
_SENTENCES = {str(outcome): sentence for outcome, sentence in SENTENCES.items()}
_SETTLED = {"present": "booked", "absent": "not booked"}


@dataclass(frozen=True, slots=True)
class History:
    prebooking: Prebooking
    events: Sequence[HistoryEvent]

    def as_json(self) -> dict[str, Any]:
        return {
            "prebooking": TypeAdapter(Prebooking).dump_python(self.prebooking, mode="json", by_alias=True),
            "events": TypeAdapter(list[HistoryEvent]).dump_python([*self.events], mode="json", exclude_none=True),
        }


_HISTORY = TypeAdapter(History)


async def ask(settings: Settings, prebooking_id: UUID) -> History | None:
    """None: there is no such prebooking. Raises StoreUnavailableError."""
    async with open_rpc(settings.supabase_url, settings.supabase_secret_key.get_secret_value(), "show") as rpc:
        answer = await rpc.call("read_history", id=prebooking_id)
    return _HISTORY.validate_python(answer) if answer["outcome"] == "read" else None


def show(history: History, out: Console, zone: tzinfo | None = None) -> None:
    """`zone`: of the times; None: this machine's."""
    row = history.prebooking
    opening = row.available_at.astimezone(zone)
    out.print(Text(f"{class_of(row)}, {printable(row.user_email)}: {row.status}"))
    out.print(Text(f"opens {opening:%a %d %b %Y %H:%M:%S %Z}"))
    out.print()
    table = Table.grid(padding=(0, 2, 0, 0))
    for event in history.events:
        at = event.at.astimezone(zone)
        table.add_row(f"{at:%a %d %b %H:%M:%S}.{at.microsecond // 1000:03d}", Text(_describe(event, zone)))
    out.print(table, highlight=False)


def _describe(event: HistoryEvent, zone: tzinfo | None) -> str:
    words = _WORDS.get(event.event, event.event)
    text = words.format(
        message_id=event.message_id or "",
        attempt=event.attempt or "",
        reason=_SETTLED.get(event.reason or "", event.reason or "for a reason that it did not say"),
        outcome=_SENTENCES.get(event.reason or "", event.reason or ""),
        opening=_opening(event.reason, zone) if event.event == "rescheduled" else "",
    )
    beside = [f"{event.took_ms:.0f} ms after the claim"] if event.took_ms is not None else []
    beside += [f"replica {event.replica}"] if event.replica else []
    return printable(" ".join(text.split()) + (f" ({', '.join(beside)})" if beside else ""))


def _opening(reason: str | None, zone: tzinfo | None) -> str:
    return f"{datetime.fromisoformat(reason).astimezone(zone):%a %d %b %H:%M:%S}" if reason else "at another time"
