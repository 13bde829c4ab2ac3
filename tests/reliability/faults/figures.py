"""What can be measured from outside: deliveries, how late first requests arrive, how long a kill takes to heal."""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from tests.reliability.faults.ledgers import Evidence, WishRecord, nanoseconds, wish_records

_LEAD_S = 3.5
_CREATED_BEFORE_S = 5.0
_DELAYS = ("refuse", "idle", "idle, unsaid", "names slow", "names silent")  #: before the request can leave
_SEEN_WITHIN_S = 0.5  # the courier and we see a death at slightly different moments


class Deliveries:
    """QStash's journal of what goes to the service, read now and then, since it forgets."""

    def __init__(self, service_url: str) -> None:
        self._service_url = service_url
        self._messages: dict[str, dict[str, Any]] = {}

    def take(self, journal: dict[str, list[dict[str, Any]]]) -> None:
        for message in (*journal["finished"], *journal["pending"]):
            if message["url"].startswith(self._service_url):
                self._messages[message["messageId"]] = message

    @property
    def count(self) -> int:
        return sum(len(message["attempts"]) for message in self._messages.values())

    @property
    def attempts(self) -> list[tuple[str | None, dict[str, Any]]]:
        """All, with the prebooking's id (None: a failure callback)."""
        return [
            (json.loads(message["body"]).get("prebooking_id"), attempt)
            for message in self._messages.values()
            for attempt in message["attempts"]
        ]

    def by_status(self) -> Counter[int]:
        """0: no answer."""
        return Counter(attempt["status"] for _, attempt in self.attempts if attempt["answeredAt"])

    def slowest_answers(self, ends_of_stops: Iterable[float]) -> list[tuple[float, str]]:
        """The seconds of the three slowest, and which they are, of those that waited for no stopped replica."""
        went_on = list(ends_of_stops)
        answers = [
            (attempt["answeredAt"] - attempt["sentAt"], f"{attempt['status']} at {attempt['answeredAt']:.2f}, {wished}")
            for wished, attempt in self.attempts
            if attempt["answeredAt"] and attempt["status"]
            if not any(attempt["sentAt"] < until <= attempt["answeredAt"] for until in went_on)
        ]
        return sorted(answers, reverse=True)[:3]

    def cut_short(self, kills: Iterable[float]) -> dict[str, float]:
        """By prebooking: when its last delivery that a kill ended was cut."""
        kills, cut = sorted(kills), dict[str, float]()
        for prebooking_id, attempt in self.attempts:
            ended = attempt["answeredAt"]
            if (
                prebooking_id is None
                or not ended
                or attempt["status"]
                or "connection lost" not in (attempt["error"] or "")
            ):
                continue
            following = bisect_left(kills, ended - _SEEN_WITHIN_S)
            if following < len(kills) and kills[following] <= ended + _SEEN_WITHIN_S:
                cut[prebooking_id] = max(ended, cut.get(prebooking_id, 0.0))
        return cut


def heal_times_s(evidence: Evidence, deliveries: Deliveries) -> list[float]:
    """From the last kill that cut a delivery of the row (or from its opening, if later) to the row's end.

    Only rows that the kill left unfinished, and that no hand retried or cancelled.
    """
    cut = deliveries.cut_short(death.at for death in evidence.deaths if death.how == "kill")
    healed = []
    for row in evidence.rows:
        killed_at = cut.get(str(row["id"]))
        if killed_at is None or row["status"] == "cancelled" or row["executed_at"] is None or row["retry_token"]:
            continue
        ended = row["executed_at"].timestamp()
        if ended > killed_at:
            healed.append(ended - max(killed_at, row["available_at"].timestamp()))
    return sorted(healed)


def lateness_ms(evidence: Evidence, deliveries: Deliveries) -> dict[str, list[tuple[float, str]]]:
    """Of first requests that nothing disturbed, with QStash on and with QStash down, by the gym's stamp; and whose."""
    late: dict[str, list[tuple[float, str]]] = defaultdict(list)
    cut = deliveries.cut_short(death.at for death in evidence.deaths if death.how == "kill")
    for record in wish_records(evidence):
        if (
            len(record.rows) != 1
            or not record.ours
            or not _is_plain(record.rows[0])
            or str(record.rows[0]["id"]) in cut
        ):
            continue
        opening = record.rows[0]["available_at"]
        qstash = _undisturbed(record, opening.timestamp(), evidence)
        if qstash is not None:
            first = min(request["last_byte_ns"] or request["first_byte_ns"] for request in record.ours)
            late[qstash].append(((first - nanoseconds(opening)) / 1e6, str(record.rows[0]["id"])))
    return {state: sorted(late[state]) for state in ("on", "off")}


def _is_plain(row: dict[str, Any]) -> bool:
    """Created in time, never changed, claimed once."""
    ahead_s: float = (row["available_at"] - row["created_at"]).total_seconds()
    return (row["version"], row["attempts"]) == (1, 1) and ahead_s > _CREATED_BEFORE_S


def _undisturbed(record: WishRecord, opens: float, evidence: Evidence) -> str | None:
    """How QStash was meanwhile: on, off; None if anything else was the matter."""
    meanwhile = [
        window for window in evidence.fault_windows if window.began < opens + 0.1 and window.ended > opens - _LEAD_S
    ]
    spoilt = any(
        request["fault"] or not request["delivered"]
        for request in record.member_requests
        if opens - _LEAD_S < request["first_byte_ns"] / 1e9 < opens + 0.1
    )
    if spoilt or any(window.where == "database" or window.kind in _DELAYS for window in meanwhile):
        return None
    at_qstash = [window for window in meanwhile if window.where == "qstash"]
    if not at_qstash:
        return "on"
    down = at_qstash[0].kind == "down" and at_qstash[0].began < opens - _LEAD_S + 1 and at_qstash[0].ended > opens
    return "off" if down and len(at_qstash) == 1 else None
