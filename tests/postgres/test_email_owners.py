"""All that is kept by an e-mail follows its account, and what can't stand beside each other is one."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import OPENING, booking_data, prebooking, session
from tests.postgres.functions import Functions, Many

ANA, NEW = "ana@example.com", "new@example.com"


async def own(db: Functions, email: str, sub: str = "first") -> Any:
    return await db.call("own_email", sub=sub, email=email)


async def emails(db: Functions, table: str, column: str = "user_email") -> set[str]:
    return {row[0] for row in await db.connection.fetch(f"select {column} from {table}")}


async def test_nothing_is_left_under_the_old_e_mail(db: Functions) -> None:
    await own(db, ANA)
    made = await db.create(booking_data(77), OPENING, key=uuid4(), max_per_minute=100)
    row = UUID(made["prebooking"]["id"])
    await session(db, user_email="Ana@Example.com")
    await db.connection.execute("insert into prebooking.retries values ($1, now())", ANA)
    await db.connection.execute("insert into prebooking.session_checks values ($1, gen_random_uuid(), now())", ANA)
    await db.connection.execute(
        "insert into prebooking.notices (key, kind, prebooking, created_at, try_after)"
        " select '1', 'failed', prebooking.as_json(p), now(), now() from public.prebookings p"
    )
    await db.call("make_calendar", user_email=ANA, secret_hash="0" * 64)

    assert await own(db, "New@Example.com") == {"outcome": "owned", "email": NEW}
    for table in ("public.prebookings", "public.auth_sessions"):
        assert await emails(db, table) == {NEW}
    for table in ("retries", "session_checks", "idempotency_keys", "calendars"):
        assert await emails(db, f"prebooking.{table}") == {NEW}
    assert await emails(db, "prebooking.notices", "prebooking ->> 'user_email'") == {NEW}
    assert NEW in (await db.row(row))["wish_key"]
    assert (await db.create(booking_data(77), OPENING, user_email=NEW))["outcome"] == "existing"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_wish_of_both_e_mails_is_one_afterwards(db: Functions, begun: bool) -> None:  # noqa: FBT001
    await own(db, ANA)
    moved, there = [
        UUID((await db.create(booking_data(77), OPENING, user_email=email))["prebooking"]["id"]) for email in (ANA, NEW)
    ]
    if begun:
        await db.connection.execute(
            "update public.prebookings set status = 'executing', claim_token = id, lease_until = available_at,"
            " booking_started_at = available_at, begun_token = id where id = $1",
            moved,
        )
    assert (await own(db, NEW))["outcome"] == "owned"
    assert (await db.row(there))["status"] == "pending"
    now = await db.row(moved)
    assert (now["status"], now["user_email"]) == ("executing" if begun else "cancelled", NEW)


async def test_the_newer_of_two_background_sessions_stays(db: Functions) -> None:
    await own(db, ANA)
    for email, token, day in ((ANA, "older", 1), (NEW, "newer", 2)):
        row = await session(db, user_email=email, aimharder_token=token, session_type="background")
        await db.connection.execute(
            "update public.auth_sessions set updated_at = now() + make_interval(days => $2) where id = $1", row, day
        )
    await own(db, NEW)
    assert await emails(db, "public.auth_sessions", "aimharder_token") == {"newer"}


async def test_of_many_accounts_at_once_one_owns_and_of_two_that_swap_nobody_hangs(many: Many) -> None:
    accounts = await many(6)
    answers = await asyncio.gather(*(own(db, ANA, f"sub-{n}") for n, db in enumerate(accounts)))
    assert sorted(answer["outcome"] for answer in answers) == ["owned"] + ["taken"] * 5
    other = f"sub-{next(n for n, answer in enumerate(answers) if answer['outcome'] == 'taken')}"
    owner = f"sub-{next(n for n, answer in enumerate(answers) if answer['outcome'] == 'owned')}"
    assert (await own(accounts[0], NEW, other))["outcome"] == "owned"
    swapped = await asyncio.gather(own(accounts[0], NEW, owner), own(accounts[1], ANA, other))
    assert [answer["outcome"] for answer in swapped] == ["taken", "taken"]


async def test_the_same_account_with_two_e_mails_at_once_ends_with_one(many: Many) -> None:
    accounts = await many(6)
    await asyncio.gather(*(own(db, f"{n}@example.com") for n, db in enumerate(accounts)))
    count = "select count(*) from prebooking.email_owners where sub = 'first'"
    assert await accounts[0].connection.fetchval(count) == 1


@pytest.mark.parametrize("email", [ANA, "Ana@Example.com"])
async def test_what_is_released_is_cancelled_or_was_begun(db: Functions, email: str) -> None:
    await own(db, ANA)
    waiting, taken, begun = [await prebooking(db, user_email=ANA) for _ in range(3)]
    held, mark = (
        "status = 'executing', claim_token = id, lease_until = available_at",
        "booking_started_at = available_at",
    )
    await db.connection.execute(f"update public.prebookings set {held} where id = any($1)", [taken, begun])
    await db.connection.execute(f"update public.prebookings set {mark}, begun_token = id where id = $1", begun)
    await session(db, user_email=ANA)
    await session(db, user_email="bea@example.com")

    released = await db.call("release_email", email=email)
    assert (released["ended"], released["begun"], released["sessions"], released["owned"]) == (2, 1, 1, True)
    assert [(await db.row(row))["status"] for row in (waiting, taken, begun)] == ["cancelled", "cancelled", "executing"]
    assert (await db.claim(taken, taken))["outcome"] == "cancelled"
    assert await emails(db, "public.auth_sessions") == {"bea@example.com"}
    assert (await own(db, ANA, "second"))["outcome"] == "owned"
    assert (await db.call("list_prebookings", user_email=ANA))["prebookings"] == []
