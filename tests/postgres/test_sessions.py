"""A user's AimHarder session: which one is taken, who may refresh its rotating token, and over which."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import prebooking, session
from tests.postgres.functions import NOW, Answer, Functions, Many, seconds, until_waiting

COOKIES = [{"name": "amhrdrauth", "value": "v2"}]


async def lease(db: Functions, holder: UUID, token: str = "token-1", *, for_: float = 10) -> Answer:
    return await db.call("lease_session", user_email="Ana@Example.com", token=token, lease=holder, lease_seconds=for_)


async def save(db: Functions, row: UUID, holder: UUID, old: str = "token-1", **change: Any) -> Answer:
    return await db.call("save_session", id=row, lease=holder, old_token=old, **change)


async def stored(db: Functions, row: UUID) -> dict[str, Any]:
    return dict(await db.connection.fetchrow("select * from public.auth_sessions where id = $1", row))


async def test_the_background_session_is_taken_before_any_device(db: Functions) -> None:
    background = await session(db, session_type="background", updated_at=NOW - timedelta(days=30))
    await session(db, updated_at=NOW)

    claim = await db.claim(await prebooking(db), uuid4())

    assert claim["session"]["id"] == str(background)


@pytest.mark.parametrize("kind", ["device", None])
async def test_else_the_newest_device(db: Functions, kind: str | None) -> None:
    await session(db, updated_at=NOW - seconds(2))
    newest = await session(db, updated_at=NOW - seconds(1), session_type=kind)

    claim = await db.claim(await prebooking(db), uuid4())

    assert claim["session"]["id"] == str(newest)


async def test_an_e_mail_is_the_same_in_any_case_and_anothers_session_is_never_taken(db: Functions) -> None:
    mine = await session(db, user_email="ANA@Example.com", updated_at=NOW - timedelta(days=9))
    await session(db, user_email="bea@example.com", session_type="background", updated_at=NOW)

    assert (await db.claim(await prebooking(db), uuid4()))["session"]["id"] == str(mine)
    nobody = await prebooking(db, user_email="cleo@example.com")
    assert (await db.claim(nobody, uuid4()))["session"] is None


async def test_one_refreshes_and_others_wait_until_its_lease_ends(db: Functions) -> None:
    row, first, second = await session(db), uuid4(), uuid4()

    leased = await lease(db, first)
    assert (leased["outcome"], leased["session"]["token"], leased["session"]["id"]) == ("leased", "token-1", str(row))
    assert await lease(db, first) == leased
    busy = await lease(db, second)
    assert (busy["outcome"], busy["retry_after"]) == ("busy", 10)

    await db.at(NOW + seconds(10))
    assert (await lease(db, second))["outcome"] == "leased"


async def test_who_knows_an_old_token_is_given_the_new_one_instead_of_a_lease(db: Functions) -> None:
    await session(db, aimharder_token="token-2")

    changed = await lease(db, uuid4(), "token-1")

    assert (changed["outcome"], changed["session"]["token"]) == ("changed", "token-2")


async def test_without_a_session_there_is_nothing_to_lease_or_to_save(db: Functions) -> None:
    nothing = {"outcome": "no_session", "session": None}

    assert await lease(db, uuid4()) == nothing
    assert await save(db, uuid4(), uuid4(), new_token="token-2") == nothing


async def test_a_refresh_saves_token_and_cookies_together_and_ends_its_lease(db: Functions) -> None:
    row, holder = await session(db), uuid4()
    await lease(db, holder)

    saved = await save(db, row, holder, new_token="token-2", cookies=COOKIES)

    assert (saved["outcome"], saved["session"]["token"], saved["session"]["cookies"]) == ("saved", "token-2", COOKIES)
    now = await stored(db, row)
    assert (now["refresh_lease"], now["refresh_lease_until"]) == (None, None)
    assert (now["token_update_count"], now["last_token_update_error"]) == (1, None)
    assert (now["last_token_update_date"], now["updated_at"]) == (NOW.replace(tzinfo=None), NOW)
    assert await save(db, row, holder, new_token="token-2", cookies=COOKIES) == saved
    assert await stored(db, row) == now


async def test_a_refresh_over_a_token_that_has_changed_is_not_saved(db: Functions) -> None:
    row = await session(db, aimharder_token="token-2")
    before = await stored(db, row)

    refused = await save(db, row, uuid4(), "token-1", new_token="token-3", cookies=COOKIES)

    assert (refused["outcome"], refused["session"]["token"]) == ("changed", "token-2")
    assert await stored(db, row) == before


async def test_a_refresh_that_left_the_token_as_it_was_still_saves_the_cookies(db: Functions) -> None:
    row, holder = await session(db), uuid4()
    await lease(db, holder)

    await save(db, row, holder, new_token="token-1", cookies=COOKIES)

    now = await stored(db, row)
    assert (now["aimharder_cookies"], now["refresh_lease"]) == (COOKIES, None)


async def test_a_failed_refresh_is_noted_and_changes_neither_token_nor_cookies(db: Functions) -> None:
    row, holder = await session(db, token_update_count=7), uuid4()
    before = await stored(db, row)
    await lease(db, holder)

    noted = await save(db, row, holder, error="logout")

    assert (noted["outcome"], noted["session"]["token"]) == ("noted", "token-1")
    now = await stored(db, row)
    changed = {name for name in before if before[name] != now[name]}
    assert changed == {"last_token_update_error", "updated_at"}
    assert now["last_token_update_error"] == "logout"


async def test_whose_lease_was_taken_over_leaves_the_new_holders_lease(db: Functions) -> None:
    row, slow, quick = await session(db), uuid4(), uuid4()
    await lease(db, slow)
    await db.at(NOW + seconds(10))
    await lease(db, quick)

    await save(db, row, slow, error="timeout")

    assert (await stored(db, row))["refresh_lease"] == quick


async def test_of_many_refreshers_at_once_one_gets_the_lease(many: Many) -> None:
    replicas = await many(8)
    await session(replicas[0])

    for round_ in range(10):
        answers = await asyncio.gather(*(lease(replica, uuid4(), for_=0.0) for replica in replicas))
        assert {a["outcome"] for a in answers} <= {"leased", "busy"}
        answers = await asyncio.gather(*(lease(replica, uuid4(), for_=60) for replica in replicas))
        assert sorted(a["outcome"] for a in answers) == 7 * ["busy"] + ["leased"], round_
        await replicas[0].connection.execute("update public.auth_sessions set refresh_lease_until = null")


async def test_of_many_saves_over_one_token_one_wins_and_the_others_are_given_its_token(many: Many) -> None:
    replicas = await many(8)
    row = await session(replicas[0])
    saves = (save(replica, row, uuid4(), new_token=f"new-{n}", cookies=COOKIES) for n, replica in enumerate(replicas))

    answers = await asyncio.gather(*saves)

    assert sorted(a["outcome"] for a in answers) == 7 * ["changed"] + ["saved"]
    assert len({a["session"]["token"] for a in answers}) == 1


async def test_who_waited_for_a_save_is_given_what_it_saved(many: Many) -> None:
    saver, waiter = await many(2)
    row, holder = await session(saver), uuid4()
    await lease(saver, holder)

    async with saver.connection.transaction():
        await save(saver, row, holder, new_token="token-2", cookies=COOKIES)
        waiting = asyncio.create_task(lease(waiter, uuid4()))
        await until_waiting(waiter, for_=saver)
    answer = await waiting

    assert (answer["outcome"], answer["session"]["token"]) == ("changed", "token-2")
