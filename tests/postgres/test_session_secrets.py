"""Connecting a session, and encrypting what is stored: one background row a user, each change a compare-and-set."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.factories import session
from tests.postgres.functions import NOW, Answer, Functions, Many, seconds

KEY = "0123abcd"
SEALED = f"enc:v1:{KEY}:AAAA"
COOKIES = [{"name": "amhrdrauth", "value": "v2"}]


async def connect(db: Functions, fingerprint: str = "print", user: str = "ana@example.com") -> Answer:
    return await db.call("connect_session", user_email=user, token="new", cookies=COOKIES, fingerprint=fingerprint)


async def rows(db: Functions) -> list[dict[str, Any]]:
    return [
        dict(row) for row in await db.connection.fetch("select * from public.auth_sessions order by user_email, id")
    ]


async def replace(db: Functions, row: UUID, token: str = "token-1", cookies: Any = None) -> Answer:
    return await db.call(
        "replace_session_secrets",
        id=row,
        old_token=token,
        old_cookies=cookies or [{"name": "amhrdrauth", "value": "v1"}],
        new_token=SEALED,
        new_cookies=SEALED,
    )


async def listed(db: Functions, **arguments: Any) -> list[str]:
    return [row["id"] for row in (await db.call("list_sessions_to_encrypt", key_id=KEY, **arguments))["sessions"]]


async def test_a_first_session_becomes_the_background_row(db: Functions) -> None:
    connected = await connect(db)
    (row,) = await rows(db)
    assert connected["state"] == {
        "since": NOW.isoformat(),
        "refreshed_at": NOW.isoformat(),
        "session_type": "background",
        "account_email": None,
        "remembered": False,
    }
    assert (row["session_type"], row["aimharder_token"], row["aimharder_cookies"]) == ("background", "new", COOKIES)
    assert (row["user_email"], row["fingerprint"]) == ("ana@example.com", "print")


async def test_another_takes_its_place_and_ends_a_refresh_under_way(db: Functions) -> None:
    before = await session(db, session_type="background", user_email="Ana@Example.com", created_at=NOW - seconds(99))
    lease = uuid4()
    await db.call("lease_session", user_email="ana@example.com", token="token-1", lease=lease, lease_seconds=10.0)
    connected = await connect(db)
    (row,) = await rows(db)
    assert (row["id"], row["aimharder_token"], row["refresh_lease"]) == (before, "new", None)
    assert row["user_email"] == "Ana@Example.com"
    assert connected["state"]["since"] == NOW.isoformat()
    saved = await db.call("save_session", id=before, lease=lease, old_token="token-1", new_token="late", cookies=[])
    assert (saved["outcome"], saved["session"]["token"]) == ("changed", "new")


async def test_devices_and_other_users_keep_theirs_and_the_spelling_of_the_address_is_kept(db: Functions) -> None:
    device = await session(db, user_email="Ana@Example.com")
    bea = await session(db, user_email="bea@example.com", session_type="background")
    await connect(db)
    kinds = {(row["id"], row["aimharder_token"]): row["session_type"] for row in await rows(db)}
    assert kinds.pop((device, "token-1")) == "device"
    assert kinds.pop((bea, "token-1")) == "background"
    assert list(kinds.values()) == ["background"]
    assert {row["user_email"] for row in await rows(db)} == {"Ana@Example.com", "bea@example.com"}


async def test_a_fingerprint_is_one_sign_in_so_the_row_of_a_device_that_has_it_becomes_the_background_row(
    db: Functions,
) -> None:
    await session(db, session_type="background", fingerprint="old")
    device = await session(db, session_type="device", fingerprint="print")
    await connect(db)
    (row,) = await rows(db)
    assert (row["id"], row["session_type"], row["aimharder_token"]) == (device, "background", "new")


async def test_two_that_connect_at_once_leave_one_background_row(many: Many) -> None:
    replicas = await many(8)
    await asyncio.gather(*(connect(replica, f"print-{n}") for n, replica in enumerate(replicas)))
    found = await rows(replicas[0])
    assert [row["session_type"] for row in found] == ["background"]


async def test_what_would_be_taken_is_read(db: Functions) -> None:
    assert await db.call("read_session", user_email="ana@example.com") == {"outcome": "no_session", "session": None}
    refreshed = (NOW - seconds(5)).replace(tzinfo=None)
    device = await session(db, created_at=NOW - timedelta(days=1), last_token_update_date=refreshed)
    read = await db.call("read_session", user_email="ANA@example.com")
    assert (read["outcome"], read["session"]["id"]) == ("found", str(device))
    assert read["state"] == {
        "since": (NOW - timedelta(days=1)).isoformat(),
        "refreshed_at": (NOW - seconds(5)).isoformat(),
        "session_type": "device",
        "account_email": None,
        "remembered": False,
    }
    await connect(db)
    assert (await db.call("read_session", user_email="ana@example.com"))["session"]["token"] == "new"


async def test_disconnecting_forgets_the_background_session_alone(db: Functions) -> None:
    device = await session(db)
    bea = await session(db, user_email="bea@example.com", session_type="background")
    await connect(db)
    assert await db.call("disconnect_session", user_email="ANA@example.com") == {"outcome": "disconnected"}
    assert await db.call("disconnect_session", user_email="ANA@example.com") == {"outcome": "no_session"}
    assert {row["id"] for row in await rows(db)} == {device, bea}


@pytest.mark.parametrize(
    ("token", "cookies"),
    [
        ("69|1|x", COOKIES),
        (SEALED, COOKIES),
        ("69|1|x", SEALED),
        (SEALED.replace(KEY, "ffffffff"), SEALED),
        (SEALED, SEALED.replace(KEY, "ffffffff")),
        (SEALED, "x"),
        (SEALED, [SEALED]),
    ],
)
async def test_what_is_not_wholly_under_the_key_is_listed(db: Functions, token: str, cookies: Any) -> None:
    await session(db, aimharder_token=SEALED, aimharder_cookies=SEALED)
    row = await session(db, aimharder_token=token, aimharder_cookies=cookies)
    assert await listed(db) == [str(row)]


async def test_the_list_goes_page_by_page_the_stalest_first(db: Functions) -> None:
    made = [await session(db, updated_at=NOW - seconds(9 - n)) for n in range(4)]
    expected = [str(row) for row in made]
    found: list[str] = []
    after: dict[str, Any] = {}
    while page := (await db.call("list_sessions_to_encrypt", key_id=KEY, limit=2, **after))["sessions"]:
        found += [row["id"] for row in page]
        at = await db.connection.fetchval("select $1::text::timestamptz", page[-1]["at"])
        after = {"after_at": at, "after_id": UUID(page[-1]["id"])}
    assert found == expected
    assert (await db.call("list_sessions_to_encrypt", key_id=KEY, limit=0))["left"] == 4


async def test_both_secrets_are_replaced_together_and_a_repeat_is_told_the_same(db: Functions) -> None:
    row = await session(db)
    (before,) = await rows(db)
    for _ in range(2):
        assert await replace(db, row) == {"outcome": "replaced"}
    (after,) = await rows(db)
    assert {name for name in before if before[name] != after[name]} == {"aimharder_token", "aimharder_cookies"}
    assert (after["aimharder_token"], after["aimharder_cookies"]) == (SEALED, SEALED)


async def test_what_changed_meanwhile_is_left_alone(db: Functions) -> None:
    row = await session(db, aimharder_token="token-2")
    other = await session(db, aimharder_cookies=COOKIES)
    before = await rows(db)
    assert await replace(db, row) == {"outcome": "changed"}
    assert await replace(db, other) == {"outcome": "changed"}
    assert await replace(db, uuid4()) == {"outcome": "no_session"}
    assert await rows(db) == before


async def test_a_session_that_is_being_refreshed_is_left_to_its_refresher(db: Functions) -> None:
    row = await session(db, refresh_lease=uuid4(), refresh_lease_until=NOW + seconds(4))
    assert await replace(db, row) == {"outcome": "busy", "retry_after": 4}
    await db.at(NOW + seconds(4))
    assert await replace(db, row) == {"outcome": "replaced"}
