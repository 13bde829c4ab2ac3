"""The model's functions beside the real ones: random walks, the same answer and the same row after every step."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.postgres.factories import GIVE_UP_AT, prebooking
from tests.postgres.functions import NOW, Answer, Functions, rolled_back, seconds
from tests.reliability.model.ablations import ABLATIONS
from tests.reliability.model.row import (
    BEFORE_THE_END,
    LONG_OVER,
    NULL,
    OVER,
    TOO_CLOSE,
    Row,
    attach_message,
    is_only_to_be_settled,
    is_to_be_settled,
    note_delivery_failure,
    reschedule_prebooking,
    retry_prebooking,
    sweep_executes,
    sweep_publishes,
)
from tests.reliability.model.world import Protocol

WALKS, STEPS = 150, 60
TOKENS = 4  # at a time
BOOK_UNTIL = 30  # minutes before the class

# All that each function can say of a row of ours that exists.
ANSWERS = {
    "claim": {"claimed", "held", "already_ended", "not_due", "retry_later", "stale"}
    | {"already_finished", "cancelled", "expired", "attempts_exhausted", "outcome_unknown"},
    "begin": {"begun", "held", "lost", "unsettled", "cancelled", "expired", "attempts_exhausted"},
    "renew": {"renewed", "lost", "cancelled"},
    "finish": {"finished", "lost"},
    "release": {"released", "lost", "unsettled"},
    "park": {"parked", "lost"},
    "cancel": {"cancelled", "already_finished", "booking_in_progress"},
    "reschedule": {"rescheduled", "already_finished", "booking_in_progress", "too_late"},
    "retry": {"retried", "already_finished", "booking_in_progress", "not_failed", "too_late"},
    "attach": {"attached", "stale", "cancelled"},
    "note": {"noted", "nothing_to_note"},
    "sweep": {"swept"},
}
WEIGHTS = {
    "claim": 16,
    "renew": 3,
    "begin": 12,
    "release": 7,
    "park": 5,
    "retry": 4,
    "finish": 2,
    "attach": 3,
    "note": 2,
}


class Replay:
    """One row, in the model and in the database, under one clock; beside another of the class, begun now and then."""

    def __init__(self, db: Functions, protocol: Protocol, seed: int) -> None:
        self.db = db
        self.protocol = protocol
        self.random = random.Random(seed)
        self.most = self.random.choice((1, 2))  # attempts
        self.now = NOW
        self.row = Row()
        self.uuids = {token: uuid4() for token in range(2, 2 + STEPS)}
        self.tokens = list(self.uuids)[:TOKENS]
        self.openings = 0
        self.said: set[tuple[str, str]] = set()

    async def run(self) -> None:
        self.id = await prebooking(self.db)
        self.other, self.another = await prebooking(self.db, wish_key=None, status="cancelled"), False
        ended = 0
        for step in range(STEPS):
            ended += self.row.status in ("completed", "cancelled")
            if ended > 4:
                return  # nothing happens to it any more
            await self._begin_or_end_the_other()
            await self._wait()
            function = self.random.choice([f for f in ANSWERS for _ in range(WEIGHTS.get(f, 1))])
            self.where = f"step {step}, {function} of {self.row}"
            (expected, row), answer = await self._call(function)
            assert answer["outcome"] == expected
            assert await self._real_row() == row
            self.row = row
            self.said.add((function, expected))

    async def _begin_or_end_the_other(self) -> None:
        if self.random.random() < 0.1:
            self.another = not self.another
            await self.db.connection.execute(
                "update public.prebookings set status = $2, lease_until = null where id = $1",
                self.other,
                "executing" if self.another else "cancelled",
            )

    def _waits(self, real: dict[str, Any]) -> bool:
        has_to = real["status"] == "pending" and real["waits_for"] is not None and self.another
        return has_to or _is_ahead(real["retry_at"], self.now)

    @property
    def end(self) -> int:
        if self.now < GIVE_UP_AT - timedelta(minutes=BOOK_UNTIL):
            return BEFORE_THE_END
        if self.now < GIVE_UP_AT:
            return TOO_CLOSE
        return OVER if self.now < GIVE_UP_AT + timedelta(hours=24) else LONG_OVER

    async def _wait(self) -> None:
        """Time only ever makes true what the model lets it make true."""
        self.now += seconds(self.random.choice((0, 0, 0, 0.5, 2, 6, 25)))
        if self.random.random() < 0.04:
            self.now = max(self.now, GIVE_UP_AT + timedelta(hours=self.random.choice((-0.5, 0, 24))))
        await self.db.at(self.now)
        real = await self.db.row(self.id)
        self.row = self.row._replace(
            opened=self.row.opened or real["available_at"] <= self.now,
            waits=self._waits(real),
            leased=self.row.leased and real["lease_until"] > self.now,
        )

    async def _real_row(self) -> Row:
        real = await self.db.row(self.id)
        numbers: dict[UUID | None, int] = {None: NULL, **{uuid: token for token, uuid in self.uuids.items()}}
        assert (real["booking_started_at"] is None) == (real["begun_token"] is None)
        return Row(
            status=real["status"],
            version=real["version"],
            attempts=real["attempts"],
            opened=real["available_at"] <= self.now,
            waits=self._waits(real),
            leased=_is_ahead(real["lease_until"], self.now),
            claim_token=numbers[real["claim_token"]],
            claim_counted=real["claim_counted"],
            begun_token=numbers[real["begun_token"]],
            claim_tokens=frozenset(numbers[token] for token in real["claim_tokens"]),
            ended_token=numbers[real["ended_token"]],
            finished_token=numbers[real["finished_token"]],
            retry_token=numbers[real["retry_token"]],
            scheduled_version=real["scheduled_version"] or NULL,
            outcome=(real["result"] or {}).get("outcome", ""),
        )

    async def _call(self, function: str) -> tuple[tuple[str, Row], Answer]:  # noqa: C901, PLR0911, PLR0912  # a function a case
        """The model's answer and the database's."""
        db, protocol, row, end = self.db, self.protocol, self.row, self.end
        token = row.claim_token if row.claim_token and self.random.random() < 0.75 else self.random.choice(self.tokens)
        version = self.random.choice((row.version, row.version, row.version + 1))
        yes = self.random.random() < 0.5
        uuid = self.uuids[token]
        match function:
            case "claim":
                if token in row.claim_tokens and self.random.random() < 0.5:
                    token = self._another_token()
                return await self._claim(token, version if yes else NULL)
            case "begin":
                answer = await db.begin(self.id, uuid, max_attempts=self.most, settled=yes, book_until=BOOK_UNTIL)
                return protocol.begin(row, end, token, self.most, yes, self.another), answer
            case "renew":
                answer = await db.renew({self.id: uuid})
                [lost] = answer["lost"] or [answer]
                return protocol.renew(row, token), lost
            case "finish":
                outcome = self.random.choice(("booked", "class_full", "class_full", "outcome_unknown"))
                return protocol.finish(row, token, outcome), await db.finish(self.id, uuid, outcome)
            case "release":
                graceful = self.random.random() < 0.5
                answer = await db.release(self.id, uuid, retry=2, graceful=graceful, settled=yes)
                return protocol.release(row, token, graceful, yes), answer
            case "park":
                return protocol.park(row, token, yes), await db.park(self.id, uuid, retry=15 if yes else None)
            case "cancel":
                return protocol.cancel(row), await db.cancel(self.id)
            case "reschedule":
                return reschedule_prebooking(row, end), await db.reschedule(self.id, self._another_opening())
            case "retry":
                return retry_prebooking(row, end, token), await db.retry(self.id, token=uuid)
            case "attach":
                return attach_message(row, version), await db.attach(self.id, version, f"msg-{version}")
            case "note":
                return note_delivery_failure(row, version), await db.note_failure(self.id, version)
            case _:
                return ("swept", row), await self._sweep()

    def _another_token(self) -> int:
        token = max(self.tokens) + 1
        self.tokens = [*self.tokens[1:], token]
        return token

    async def _claim(self, token: int, version: int) -> tuple[tuple[str, Row], Answer]:
        answer = await self.db.claim(
            self.id, self.uuids[token], version or None, horizon=0, max_attempts=self.most, lease=5
        )
        outcome, row = self.protocol.claim(self.row, self.end, token, version, self.most)
        if outcome == answer["outcome"] == "claimed":
            assert answer["begun"] == is_to_be_settled(row)
            assert answer["settle_only"] == is_only_to_be_settled(row, self.end, self.most)
        return (outcome, row), answer

    async def _sweep(self) -> Answer:
        answer = await self.db.sweep(lead=0)
        executes = str(self.id) in [*answer["execute"], *answer["settle"]]
        publishes = any(found["id"] == str(self.id) for found in answer["publish"])
        # It leaves a row alone for a moment after its create, reschedule or retry.
        armed = (await self.db.row(self.id))["armed_at"]
        assert executes <= sweep_executes(self.row, self.end)
        assert publishes <= sweep_publishes(self.row, self.end)
        if self.now - armed >= seconds(10):
            assert executes == sweep_executes(self.row, self.end)
            assert publishes == sweep_publishes(self.row, self.end)
        return answer

    def _another_opening(self) -> datetime:
        """Later than now, and none that it had before; past its end, where the end has come."""
        self.openings += 1
        return self.now + seconds(60 + self.openings / 1000)


def _is_ahead(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant > now


async def walk(connection: asyncpg.Connection, protocol: Protocol, walks: int) -> set[tuple[str, str]]:
    said: set[tuple[str, str]] = set()
    for seed in range(walks):
        async with rolled_back(connection) as db:
            replay = Replay(db, protocol, seed)
            try:
                await replay.run()
            except AssertionError as exc:
                raise AssertionError(f"seed {seed}, {replay.where}: {exc}") from exc
            said |= replay.said
    return said


async def test_the_functions_do_what_the_model_says(protocol_connection: asyncpg.Connection) -> None:
    said = await walk(protocol_connection, Protocol(), WALKS)

    assert said == {(function, outcome) for function, outcomes in ANSWERS.items() for outcome in outcomes}


@pytest.mark.parametrize("name", [n for n, a in ABLATIONS.items() if a.protocol.functions != Protocol().functions])
async def test_a_model_without_one_of_the_guards_is_told_apart(
    protocol_connection: asyncpg.Connection, name: str
) -> None:
    with pytest.raises(AssertionError, match=r"seed \d+, step \d+"):
        await walk(protocol_connection, ABLATIONS[name].protocol, WALKS)
