"""What an operator asks: told truly, and at the same cost however many rows have ended."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.postgres import factories
from tests.postgres.functions import NOW, Functions, seconds

HERE = "https://prebooking.example.com"
ENDED = 7_000
COUNTED = 5_000  # each status, exactly
_LONG_AGO = timedelta(days=1)

_FILL = """
insert into public.prebookings (user_email, box_subdomain, box_aimharder_id, booking_data, status, available_at,
  created_at, executed_at, result, wish_key)
select 'member' || i || '@example.com', 'kap', '7', jsonb_build_object('day', '20990301', 'id', i::text),
  case when i % 100 = 0 then 'failed' else 'completed' end,
  $1::timestamptz - i * interval '1 minute', $1::timestamptz - i * interval '2 minutes',
  $1::timestamptz - i * interval '1 minute', case when i % 2 = 0 then '{"outcome": "booked"}'::jsonb end,
  case when i % 2 = 0 then 'wish ' || i end
from generate_series(1, $2::int) i
"""
_NOTICES = """
insert into prebooking.notices (key, kind, prebooking, created_at, try_after)
select gen_random_uuid()::text, 'booked', '{}', $1::timestamptz - i * interval '1 minute', $1::timestamptz
from generate_series(1, $2::int) i
"""
_SESSIONS = """
insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint)
select gen_random_uuid()::text, 'enc:v1:' || repeat((i % 3)::text, 8) || ':AAAA', '[]', 'f'
from generate_series(1, $1::int) i
"""
_READ = """
select relname, seq_scan as scans, seq_tup_read + coalesce(idx_tup_fetch, 0) as rows_read
from pg_catalog.pg_stat_xact_user_tables where relname in ('prebookings', 'auth_sessions', 'notices')
"""


async def inspected(db: Functions, **arguments: Any) -> dict[str, Any]:
    return await db.call("inspect_service", **({"functions": [], "limit": 10, "public_url": HERE} | arguments))


async def read_by_inspection(db: Functions) -> dict[str, tuple[int, int]]:
    """Sequential scans, and rows read, by table."""
    before = {row["relname"]: row for row in await db.connection.fetch(_READ)}
    await inspected(db)
    after = {row["relname"]: row for row in await db.connection.fetch(_READ)}
    return {
        name: (row["scans"] - before[name]["scans"], row["rows_read"] - before[name]["rows_read"])
        for name, row in after.items()
    }


async def test_inspection_scans_no_table_and_reads_no_more_of_a_larger_one(db: Functions) -> None:
    """Planned without statistics, as after a bulk load."""
    await db.at(NOW)
    await db.connection.execute(_FILL, NOW, ENDED)
    await db.connection.execute(_NOTICES, NOW, ENDED)
    await db.connection.execute(_SESSIONS, 500)
    smaller = await read_by_inspection(db)
    await db.connection.execute(_FILL, NOW - timedelta(seconds=1), ENDED)
    await db.connection.execute(_NOTICES, NOW - timedelta(seconds=1), ENDED)
    larger = await read_by_inspection(db)
    assert smaller["prebookings"][1] > 0  # it is counted at all
    assert {scans for scans, _ in (*smaller.values(), *larger.values())} == {0}
    few_failed = ENDED // 100  # they are fewer than are counted exactly
    for name, (_, rows) in larger.items():
        assert rows <= smaller[name][1] + 2 * few_failed, (name, smaller, larger)


async def test_few_are_counted_exactly_and_many_are_estimated(db: Functions) -> None:
    await db.at(NOW)
    await db.connection.execute(_FILL, NOW, ENDED)
    await factories.prebooking(db)
    await db.connection.execute("reset role; analyze public.prebookings; set local role service_role")
    seen = await inspected(db)
    counts = seen["counts"]
    assert (counts["failed"], counts["pending"], seen["estimated"]) == (ENDED // 100, 1, ["completed"])
    assert counts["completed"] == pytest.approx(ENDED * 0.99, rel=0.05)


async def test_next_and_last_are_in_order_whatever_their_status(db: Functions) -> None:
    await db.at(NOW)
    states: list[dict[str, Any]] = [
        {"status": "executing", "available_at": NOW, "claim_token": uuid4(), "lease_until": NOW + seconds(5)},
        {"status": "pending", "available_at": NOW + seconds(1)},
        {"status": "loaded", "available_at": NOW + seconds(2)},
        {"status": "completed", "executed_at": NOW - seconds(1)},
        {"status": "failed", "executed_at": NOW - seconds(2)},
        {"status": "completed", "executed_at": NOW - seconds(3)},
        {"status": "cancelled", "executed_at": None},
    ]
    made = [str(await factories.prebooking(db, **state)) for state in reversed(states)][::-1]
    seen = await inspected(db, limit=2)
    assert [row["id"] for row in seen["next"]] == made[:2]
    assert [row["id"] for row in seen["last"]] == made[3:5]
    assert seen["counts"] == {"executing": 1, "pending": 2, "completed": 2, "failed": 1, "cancelled": 1}


@pytest.mark.parametrize(
    ("late", "columns"),
    [
        (True, {}),
        (True, {"status": "executing", "claim_token": uuid4(), "lease_until": NOW + seconds(5)}),
        (False, {"armed_at": NOW - seconds(1)}),  # retried just now
        (False, {"last_outcome": "gym_unreachable", "retry_at": NOW + seconds(5)}),  # tried, and to be tried again
        (False, {"last_outcome": "too_early", "status": "executing", "claim_token": uuid4()}),  # tried, and again now
        (False, {"status": "executing", "claim_token": uuid4(), "booking_started_at": NOW, "begun_token": uuid4()}),
        (False, {"available_at": NOW - seconds(1)}),
        (False, {"available_at": NOW - seconds(90)}),  # told as stuck
    ],
)
async def test_what_opened_two_seconds_ago_and_nobody_began_is_late(
    db: Functions, columns: dict[str, Any], *, late: bool
) -> None:
    await db.at(NOW)
    await factories.prebooking(db, **({"available_at": NOW - seconds(35), "armed_at": NOW - _LONG_AGO} | columns))
    seen = await inspected(db)
    assert (seen["late"], seen["late_s"]) == ((1, 35.0) if late else (0, None))


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        ("https://old.example.com", 1),
        ("https://z.example.com", 1),
        (HERE, 0),
        (None, 0),  # an earlier release noted none
    ],
)
async def test_messages_that_ring_at_another_address_are_counted(
    db: Functions, url: str | None, elsewhere: int
) -> None:
    await db.at(NOW)
    await factories.prebooking(db, qstash_schedule_id="msg_1", scheduled_version=1, message_address=url)
    seen = await inspected(db)
    assert (seen["elsewhere"], seen["elsewhere_url"]) == ((1, url) if elsewhere else (0, None))


async def test_the_keys_in_use_are_named_each_once(db: Functions) -> None:
    await db.connection.execute(_SESSIONS, 10)
    await factories.session(db)
    seen = await inspected(db)
    assert (seen["sealed_under"], seen["sessions"]) == (["0" * 8, "1" * 8, "2" * 8], 11)


async def test_a_release_that_knows_no_address_still_asks(db: Functions) -> None:
    """As the one before this calls it."""
    assert (await db.call("inspect_service", functions=[], limit=1))["elsewhere"] == 0
