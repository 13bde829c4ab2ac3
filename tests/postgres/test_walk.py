"""Every function put to every state, and long random walks: no other status and no other edge than the protocol's."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.postgres.factories import GIVE_UP_AT, OPENING, STATES, booking_data, prebooking
from tests.postgres.functions import NOW, Answer, Functions, rolled_back, seconds

Call = Callable[[Functions, UUID, UUID], Awaitable[Answer]]

EDGES = {
    ("pending", "executing"),
    ("pending", "cancelled"),
    ("pending", "failed"),
    ("executing", "completed"),
    ("executing", "failed"),
    ("executing", "pending"),
    ("executing", "cancelled"),
    ("failed", "pending"),
}
# Who may take which edge; everything else leaves a status as it is.
EDGES_OF = {
    "claim_prebooking": {("pending", "executing"), ("pending", "failed"), ("executing", "failed")},
    "begin_booking": {("executing", "pending")},  # where another may be booking the same class
    "finish_booking": {("executing", "completed"), ("executing", "failed")},
    "release_prebooking": {("executing", "pending")},
    "cancel_prebooking": {("pending", "cancelled"), ("executing", "cancelled")},
    "retry_prebooking": {("failed", "pending")},
}
# What an answer says when it changed nothing.
REFUSALS = {
    *("already_finished", "booking_in_progress", "not_found", "not_failed", "too_late", "exists", "existing"),
    *("stale", "held", "not_due", "retry_later", "already_ended", "lost", "unsettled", "unknown_prebooking"),
    *("nothing_to_note", "attempts_exhausted", "expired", "listed", "swept"),
}

CALLS: dict[str, list[Call]] = {
    "create_prebooking": [
        lambda db, row, _: db.create(booking_data(), OPENING, id=row),
    ],
    "attach_message": [
        lambda db, row, _: db.attach(row, 1, "msg"),
        lambda db, row, _: db.attach(row, 2, "msg"),
    ],
    "claim_prebooking": [
        lambda db, row, _: db.claim(row, uuid4()),
        lambda db, row, _: db.claim(row, uuid4(), 1),
        lambda db, row, _: db.claim(row, uuid4(), 2),
        lambda db, row, token: db.claim(row, token),
        lambda db, row, _: db.claim(row, uuid4(), max_attempts=1),
        lambda db, row, _: db.claim(row, uuid4(), horizon=0),
        lambda db, row, _: db.claim(row, uuid4(), lease=5),
        lambda db, row, token: db.claim(row, token, lease=5),
    ],
    "renew_claims": [
        lambda db, row, token: db.renew({row: token}),
        lambda db, row, _: db.renew({row: uuid4()}),
    ],
    "begin_booking": [
        lambda db, row, token: db.begin(row, token),
        lambda db, row, token: db.begin(row, token, settled=True),
        lambda db, row, token: db.begin(row, token, max_attempts=1),
        lambda db, row, _: db.begin(row, uuid4(), settled=True),
        lambda db, row, token: db.begin(row, token, settled=True, book_until=60),
        lambda db, row, token: db.begin(row, token, settled=True, book_until=600),
    ],
    "finish_booking": [
        lambda db, row, token: db.finish(row, token),
        lambda db, row, token: db.finish(row, token, "class_full"),
        lambda db, row, _: db.finish(row, uuid4()),
    ],
    "release_prebooking": [
        lambda db, row, token: db.release(row, token),
        lambda db, row, token: db.release(row, token, "blocked", settled=True, retry=3),
        lambda db, row, token: db.release(row, token, graceful=True),
        lambda db, row, _: db.release(row, uuid4(), settled=True),
    ],
    "park_prebooking": [
        lambda db, row, token: db.park(row, token),
        lambda db, row, token: db.park(row, token, retry=15),
        lambda db, row, _: db.park(row, uuid4()),
    ],
    "cancel_prebooking": [
        lambda db, row, _: db.cancel(row),
        lambda db, row, _: db.cancel(row, "bea@example.com"),
    ],
    "reschedule_prebooking": [
        lambda db, row, _: db.reschedule(row, NOW + seconds(60)),
        lambda db, row, _: db.reschedule(row, GIVE_UP_AT),
        lambda db, row, _: db.reschedule(row, NOW + seconds(60), "bea@example.com"),
    ],
    "retry_prebooking": [
        lambda db, row, _: db.retry(row),
        lambda db, row, _: db.retry(row, NOW),
        lambda db, row, _: db.retry(row, None, "bea@example.com"),
    ],
    "note_delivery_failure": [
        lambda db, row, _: db.note_failure(row, 1),
    ],
    "list_prebookings": [
        lambda db, row, _: db.call("list_prebookings", user_email="ana@example.com", id=row),
    ],
    "sweep_prebookings": [
        lambda db, _, __: db.sweep(),
    ],
}
WITHOUT_A_ROW = {  # they change no prebooking
    *("lease_session", "save_session", "connect_session", "read_session", "disconnect_session"),
    *("admit_session_check", "list_sessions_to_encrypt", "replace_session_secrets"),
    *("read_changes", "make_calendar", "end_calendar", "read_calendar"),
}
FUNCTIONS_BESIDE = {
    # no status is theirs to change
    *("take_notices", "note_told", "note_untold", "take_session_looks", "note_session_look"),
    *("remove_old_prebookings", "inspect_service", "read_prebookings", "read_history"),
    *("note_ping", "read_ping"),
    *("admit_sign_in", "store_sign_in", "lease_sign_in", "save_sign_in_again", "end_sign_in_again"),
    *("list_passwords_to_encrypt", "replace_password", "note_box_domains"),
    *("begin_giving_back", "end_giving_back", "take_given_back"),
}

OF_A_USER = {"own_email", "release_email"}  # of all their rows at once: test_email_owners.py

OF_A_SERIES = {  # of several of its rows at once: test_series.py
    *("create_series", "list_series", "change_series", "end_series", "fill_series", "take_series"),
}

OF_THE_HOLDER = {"renew_claims", "begin_booking", "finish_booking", "release_prebooking"}

Row = dict[str, Any]


def status(row: Row) -> str:
    return "pending" if row["status"] == "loaded" else str(row["status"])


def is_begun(row: Row) -> bool:
    old_crons = row["status"] == "executing" and row["claim_token"] is None
    return old_crons or row["booking_started_at"] is not None


def check_step(function: str, answer: Answer, before: Row, after: Row, now: Any) -> tuple[str, str] | None:
    """The edge that was taken. Asserts that it is legal, and that a refusal changed nothing."""
    edge = (status(before), status(after))
    if answer.get("lost"):
        assert before == after, (function, answer["lost"])
    if answer["outcome"] in REFUSALS and edge[0] == edge[1]:
        assert before == after, (function, answer["outcome"])
    if answer.get("prebooking"):
        assert answer["prebooking"]["status"] == edge[1]
    if edge[0] == edge[1]:
        return None
    assert edge in EDGES_OF.get(function, set()), (function, answer["outcome"], edge)
    if edge == ("executing", "cancelled"):
        assert not is_begun(before)
    if function == "claim_prebooking" and edge[1] == "failed":
        if is_begun(before):
            assert answer["outcome"] == "outcome_unknown"
            assert now >= before["give_up_at"] + timedelta(hours=24)
            assert after["booking_started_at"] == before["booking_started_at"]
        else:
            assert now >= before["give_up_at"] or answer["outcome"] in {"attempts_exhausted", before["last_outcome"]}
    if edge == ("executing", "pending"):
        assert after["booking_started_at"] is None
    return edge


async def test_the_walk_knows_every_function(db: Functions) -> None:
    found = await db.connection.fetch("select proname from pg_proc where pronamespace = 'public'::regnamespace")

    assert {row["proname"] for row in found} == {*CALLS, *WITHOUT_A_ROW, *FUNCTIONS_BESIDE, *OF_A_USER, *OF_A_SERIES}


@pytest.mark.parametrize("state", STATES)
async def test_no_function_takes_another_edge_nor_changes_what_it_refuses(db: Functions, state: str) -> None:
    for function, calls in CALLS.items():
        for call in calls:
            savepoint = db.connection.transaction()
            await savepoint.start()
            token = uuid4()
            row = await prebooking(db, **STATES[state](token))
            before = await db.row(row)
            answer = await call(db, row, token)
            check_step(function, answer, before, await db.row(row), NOW)
            await savepoint.rollback()


class Walk:
    """One row led at random through its life, by several claimers, a user, a QStash and time itself."""

    def __init__(self, db: Functions, seed: int) -> None:
        self.db = db
        self.random = random.Random(seed)
        self.now = NOW
        self.tokens = [uuid4() for _ in range(4)]
        self.edges: set[tuple[str, str]] = set()
        self.confirmed_cancel = False

    async def run(self, steps: int) -> None:
        row = await prebooking(self.db)
        for _ in range(steps):
            self.now += seconds(self.random.choice((0, 0, 0.5, 2, 6, 25)))
            if self.random.random() < 0.01:
                self.now += timedelta(hours=self.random.choice((9, 25)))
            await self.db.at(self.now)
            function = self.random.choice([f for f in CALLS for _ in range(WEIGHTS.get(f, 1))])
            await self._step(function, row)

    async def _step(self, function: str, row: UUID) -> None:
        before = await self.db.row(row)
        holder = before["claim_token"]
        token = holder if holder and self.random.random() < 0.8 else self.random.choice(self.tokens)
        if function == "claim_prebooking":
            token = uuid4()
            self.tokens[self.random.randrange(4)] = token
        answer = await self._call(function, row, token)
        after = await self.db.row(row)
        edge = check_step(function, answer, before, after, self.now)
        if edge:
            self.edges.add(edge)
        assert after["version"] >= before["version"]
        if holder and before["lease_until"] > self.now and after["claim_token"] not in (holder, None):
            pytest.fail("a lease was taken before its end")
        if holder and token != holder and function in OF_THE_HOLDER:
            assert after == before

    async def _call(self, function: str, row: UUID, token: UUID) -> Answer:
        if function == "claim_prebooking":
            return await self.db.claim(row, token, max_attempts=3)
        if function == "reschedule_prebooking":
            return await self.db.reschedule(row, self.now + seconds(self.random.choice((1, 30))))
        return await self.random.choice(CALLS[function])(self.db, row, token)


WEIGHTS = {
    "claim_prebooking": 12,
    "begin_booking": 8,
    "release_prebooking": 4,
    "park_prebooking": 3,
    "retry_prebooking": 4,
}


async def test_random_walks_take_every_edge_and_no_other(protocol_connection: asyncpg.Connection) -> None:
    taken: set[tuple[str, str]] = set()
    for seed in range(40):
        async with rolled_back(protocol_connection) as db:
            walk = Walk(db, seed)
            await walk.run(60)
            taken |= walk.edges

    assert taken == EDGES
