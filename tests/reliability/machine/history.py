"""Every change of a row, written down by the database as it happens, and what the protocol says of each.

A look after each step would miss what was undone within it.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

SCHEMA = """
create schema machine;
create table machine.history (
  n bigint generated always as identity primary key,
  at timestamptz not null default prebooking.now(),
  function text not null default split_part(current_setting('request.path'), '/', 3),
  old jsonb,
  new jsonb not null);
create function machine.note() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into machine.history (old, new) values (to_jsonb(old), to_jsonb(new));
  return null;
end $$;
create trigger machine_notes after insert or update on public.prebookings
  for each row execute function machine.note();
"""

# The edges of a status, by the function that may take them. Whatever else changes a row leaves its status.
EDGES: dict[str, set[tuple[str | None, str]]] = {
    "create_prebooking": {(None, "pending")},
    "claim_prebooking": {("pending", "executing"), ("pending", "failed"), ("executing", "failed")},
    "finish_booking": {("executing", "completed"), ("executing", "failed")},
    "begin_booking": {("executing", "pending")},  # it waits for another of the same class: Row.waits_for
    "release_prebooking": {("executing", "pending")},
    "cancel_prebooking": {("pending", "cancelled"), ("executing", "cancelled")},
    "retry_prebooking": {("failed", "pending")},
}
BY_USERS = {"create_prebooking", "cancel_prebooking", "reschedule_prebooking", "retry_prebooking"}
REARMING = {"reschedule_prebooking", "retry_prebooking"}
MAX_ATTEMPTS = 5

_SHOWN = (
    *("id", "user_email", "status", "version", "attempts", "available_at", "box_subdomain", "box_aimharder_id"),
    *("booking_data", "qstash_schedule_id", "result", "error_code", "error_message"),
    *("created_at", "updated_at", "executed_at"),
)
_INSTANTS = ("available_at", "created_at", "updated_at", "executed_at")

Wish = tuple[str, str, str]  #: user, class, family member


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What the API shows of a row, comparable however its instants are written."""
    return {name: instant(row[name]) if name in _INSTANTS else row[name] for name in _SHOWN}


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True)
class Row:
    """One state of one prebooking, as the table had it."""

    image: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.image["id"])

    @property
    def email(self) -> str:
        return str(self.image["user_email"])

    @property
    def status(self) -> str:
        return str(self.image["status"])

    @property
    def active(self) -> bool:
        return self.status in ("pending", "executing")

    @property
    def begun(self) -> bool:
        return self.image["booking_started_at"] is not None

    @property
    def may_send(self) -> bool:
        """Its claim has begun: a request may be on its way."""
        return self.status == "executing" and self.begun and self.image["begun_token"] == self.image["claim_token"]

    @property
    def waits_for(self) -> str | None:
        """The id of the user's prebooking that has booked this class, or may have."""
        return self.image["waits_for"] and str(self.image["waits_for"])

    @property
    def version(self) -> int:
        return int(self.image["version"])

    @property
    def outcome(self) -> str:
        return str(self.image["result"]["outcome"])

    @property
    def family(self) -> str:
        return str(self.image["booking_data"]["familyId"])

    @cached_property
    def wish(self) -> Wish:
        return self.email, self.image["booking_data"]["id"], self.family

    @cached_property
    def opening(self) -> datetime:
        return datetime.fromisoformat(self.image["available_at"])

    @cached_property
    def give_up_at(self) -> datetime:
        return datetime.fromisoformat(self.image["give_up_at"])

    @cached_property
    def shown(self) -> dict[str, Any]:
        return shown(self.image)

    def instant(self, column: str) -> datetime | None:
        return instant(self.image[column])


@dataclass(frozen=True)
class Change:
    at: datetime
    function: str
    old: Row | None
    new: Row

    @classmethod
    def read(cls, record: Any) -> "Change":
        old = None if record["old"] is None else Row(json.loads(record["old"]))
        return cls(record["at"], record["function"], old, Row(json.loads(record["new"])))

    def __str__(self) -> str:
        before = self.old.status if self.old else None
        return f"{self.function} at {self.at:%H:%M:%S.%f}: {before} → {self.new.status}, {self.new.image}"

    def check(self) -> None:
        """What design and sql/README.md say of any change."""
        old, new = self.old, self.new
        edge = (old.status if old else None, new.status)
        assert edge[0] == edge[1] or edge in EDGES.get(self.function, set()), self
        if old is None:
            return
        assert new.id == old.id, self
        assert new.wish == old.wish, self
        moved = new.opening != old.opening
        assert not moved or self.function in REARMING, self
        assert new.version - old.version == (self.function in REARMING), self
        if edge == ("executing", "cancelled"):
            assert not old.begun, self
        if edge == ("executing", "pending"):
            assert not new.begun, self
            assert (self.function == "begin_booking") == (new.waits_for is not None), self
        if edge[1] in ("completed", "cancelled"):
            assert not new.begun, self
        if self.function == "claim_prebooking":
            self._check_claim(old, new)
        if self.function == "begin_booking":
            assert self.at < old.give_up_at, self
        if self.function in ("begin_booking", "finish_booking", "release_prebooking", "park_prebooking"):
            assert old.status == "executing", self
        if self.function == "renew_claims":
            assert old.status == "executing", self
            assert {n for n in new.image if new.image[n] != old.image[n]} <= {"lease_until"}, self

    def _check_claim(self, old: Row, new: Row) -> None:
        lease = old.instant("lease_until")
        again = new.image["claim_token"] is not None and new.image["claim_token"] == old.image["claim_token"]
        assert again or lease is None or lease <= self.at, self  # nobody's lease is taken before its end
        if new.status != "failed":
            return
        if old.begun:
            assert new.image["error_code"] == "outcome_unknown", self
            assert self.at >= old.give_up_at + timedelta(hours=24), self
            assert new.begun, self
        else:
            assert self.at >= old.give_up_at or old.image["attempts"] >= MAX_ATTEMPTS, self
