"""What a look is told of the user's openings, which tokens are doubtful, and that sealing a session is no news."""

from datetime import timedelta
from uuid import uuid4

from tests.postgres.factories import claimed, prebooking, session
from tests.postgres.functions import NOW, Answer, Functions, seconds

MINUTE = timedelta(minutes=1)


async def lease(db: Functions, holder: object) -> Answer:
    return await db.call(
        "lease_session", user_email="ana@example.com", token="token-1", lease=holder, lease_seconds=9.0
    )


async def is_doubtful(db: Functions) -> bool:
    return bool((await db.call("read_session", user_email="ana@example.com"))["session"]["token_doubtful"])


async def test_a_look_is_told_how_near_the_users_openings_are(db: Functions) -> None:
    looked_at = [await prebooking(db, available_at=NOW + minutes * MINUTE) for minutes in (20, 25)]
    await prebooking(db, available_at=NOW + seconds(10), user_email="Ana@Example.com")  # too near to be looked at
    await prebooking(db, available_at=NOW + seconds(10), user_email="bea@example.com")
    (look,) = (await db.call("take_session_looks"))["looks"]
    assert {look["user_email"], *look["prebooking_ids"]} == {"ana@example.com", *map(str, looked_at)}
    assert (look["next_in_s"], look["last_in_s"]) == (10, 25 * 60)


async def test_an_opening_that_is_being_booked_is_near_and_one_of_long_ago_is_not(db: Functions) -> None:
    await prebooking(db, available_at=NOW + 4 * MINUTE)
    await prebooking(db, available_at=NOW - seconds(119), **claimed(uuid4()))
    await prebooking(db, available_at=NOW - seconds(120), **claimed(uuid4()))
    (look,) = (await db.call("take_session_looks"))["looks"]
    assert (look["next_in_s"], look["last_in_s"]) == (-119, 240)


async def test_a_token_is_doubtful_from_the_lease_until_a_known_end(db: Functions) -> None:
    row, holder = await session(db), uuid4()
    save = {"id": row, "lease": holder, "old_token": "token-1"}
    assert not await is_doubtful(db)
    await lease(db, holder)
    assert await is_doubtful(db)
    await db.at(NOW + seconds(60))
    assert await is_doubtful(db)  # its holder has died
    await db.call("save_session", **save, error="answer_lost")
    assert await is_doubtful(db)
    await lease(db, holder)
    await db.call("save_session", **save, error="not_sent")
    assert not await is_doubtful(db)
    await lease(db, holder)
    await db.call("save_session", **save, new_token="token-2", cookies=[])
    assert not await is_doubtful(db)


async def test_a_session_that_is_encrypted_anew_stays_dead_to_its_user_and_a_new_one_does_not(db: Functions) -> None:
    row = await session(db)
    wanted = await prebooking(db, available_at=NOW + 4 * MINUTE)
    await db.call("take_session_looks")
    await db.call("note_session_look", prebooking_ids=[wanted], alive=False, session="1", message="Sign in.")
    sealed = await db.call(
        "replace_session_secrets",
        id=row,
        old_token="token-1",
        old_cookies=[{"name": "amhrdrauth", "value": "v1"}],
        new_token="enc:v1:0123abcd:AAAA",
        new_cookies="enc:v1:0123abcd:AAAA",
    )
    assert sealed["outcome"] == "replaced"
    assert (await db.row(wanted))["warning"] is not None
    assert (await db.call("take_session_looks"))["looks"] == []
    # Also within the same transaction, which the setting does not outlive its statement for.
    await db.connection.execute("update public.auth_sessions set aimharder_token = 'token-2'")
    assert (await db.row(wanted))["warning"] is None
