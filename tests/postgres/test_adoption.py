"""The web application's database, adopted: all that was there is kept, and every row can be led to its end."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from tests.postgres.adopting import KAP, Adopted, snapshot
from tests.postgres.factories import OPENING, insert
from tests.postgres.functions import NOW, Functions, seconds


def row_number(number: int) -> UUID:
    return UUID(f"00000000-0000-0000-0000-{number:012}")


async def test_every_column_and_every_row_is_kept_as_it_was(adopted: Adopted) -> None:
    after = await snapshot(adopted.connection, adopted.columns)

    for table, (columns, rows) in adopted.before.items():
        assert len(rows) > 0
        assert after[table][0][: len(columns)] == columns
        assert after[table][1] == rows


async def test_what_was_added_asks_nothing_of_the_old_writers(adopted: Adopted) -> None:
    required = await adopted.connection.fetch(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'public' and is_nullable = 'NO' and column_default is null and table_name = any ($1)",
        list(adopted.columns),
    )

    assert {row["column_name"] for row in required} <= {name for names in adopted.columns.values() for name in names}


@pytest.mark.parametrize("number", [4, "written later"])
async def test_loaded_is_read_as_pending_and_executed(web: Functions, number: int | str) -> None:
    row = row_number(4)
    if number == "written later":
        row = await insert(
            web.connection,
            "prebookings",
            {
                "user_email": "ana@example.com",
                "status": "loaded",
                "loaded_at": NOW,
                "box_id": KAP,
                "booking_data": {"day": "20990305", "id": "90"},
                "available_at": NOW,
            },
        )
    else:
        assert (await web.row(row))["status"] == "loaded"

    shown = await web.call("list_prebookings", user_email="ana@example.com", id=row, status="pending")
    assert [r["status"] for r in shown["prebookings"]] == ["pending"]
    await web.at(NOW + seconds(2))
    assert str(row) in (await web.sweep())["execute"]
    claim = await web.claim(row, uuid4())
    assert (claim["outcome"], claim["begun"]) == ("claimed", False)
    assert claim["session"]["token"] == "69232|1768841634|b1"


async def test_an_executing_row_of_the_old_cron_is_settled_two_minutes_after_its_opening(web: Functions) -> None:
    swept = await web.sweep()
    assert swept["settle"] == [str(row_number(6))]
    assert datetime.fromisoformat(swept["next_at"]) == NOW + seconds(1)
    held = await web.claim(row_number(5), uuid4())
    assert (held["outcome"], held["retry_after"]) == ("held", 1)

    token = uuid4()
    claim = await web.claim(row_number(6), token)
    assert (claim["outcome"], claim["begun"], claim["prebooking"]["attempts"]) == ("claimed", True, 0)
    assert (await web.begin(row_number(6), token))["outcome"] == "unsettled"
    assert (await web.release(row_number(6), token))["outcome"] == "unsettled"
    assert (await web.cancel(row_number(6)))["outcome"] == "booking_in_progress"
    # Of the others nobody knows the hour: they are two classes because both are listed.
    beside = await web.connection.fetchval("select jsonb_agg(booking_data ->> 'id') from public.prebookings")
    row, begin = row_number(6), {"token": token, "lease_seconds": 20, "max_attempts": 5, "settled": True}
    own = (await web.row(row))["booking_data"]["id"]
    learnt = {"id": str(own), "beside": [one for one in beside if one != str(own)]}
    assert (await web.call("begin_booking", id=row, **begin, **{"class": learnt}))["outcome"] == "begun"


async def test_the_sweep_publishes_what_waits_and_lets_end_what_is_over(web: Functions) -> None:
    swept = await web.sweep()

    waiting = {row_number(n) for n in (1, 2, 3, 10, 11, 12, 13, 14)}
    assert {UUID(row["id"]) for row in swept["publish"]} == waiting
    assert swept["execute"] == [str(row_number(9)), str(row_number(4))]
    before = await web.row(row_number(9))
    ended = await web.claim(row_number(9), uuid4())
    assert (ended["outcome"], ended["prebooking"]["status"]) == ("expired", "failed")
    assert (await web.row(row_number(9)))["booking_data"] == before["booking_data"]


async def test_publishing_for_an_adopted_row_names_the_message_it_carried(web: Functions) -> None:
    attached = await web.attach(row_number(1), 1, "msg-1")

    assert (attached["outcome"], attached["replaced_message_id"]) == ("attached", "msg_old_1")


@pytest.mark.parametrize(
    ("number", "box"),
    [(1, ("kap", "10584")), (3, ("other", "9818")), (14, (None, None))],
)
async def test_the_box_of_an_adopted_row_is_found_through_boxes(
    web: Functions, number: int, box: tuple[str | None, str | None]
) -> None:
    await web.at(datetime(2099, 3, 4, 17, 30, tzinfo=UTC))

    shown = (await web.claim(row_number(number), uuid4()))["prebooking"]

    assert (shown["box_subdomain"], shown["box_aimharder_id"]) == box
    assert shown["booking_data"] == (await web.row(row_number(number)))["booking_data"]


async def test_an_adopted_row_is_listed_under_its_box(web: Functions) -> None:
    listed = await web.call("list_prebookings", user_email="ana@example.com", box_subdomain="other")

    assert [row["id"] for row in listed["prebookings"]] == [str(row_number(3))]


@pytest.mark.parametrize("number", range(1, 15))
async def test_every_adopted_row_can_be_shown_claimed_and_ended(web: Functions, number: int) -> None:
    row = row_number(number)
    email, before = (await web.row(row))["user_email"], (await web.row(row))["status"]
    assert len((await web.call("list_prebookings", user_email=email, id=row))["prebookings"]) == 1

    await web.at(datetime(2099, 3, 8, tzinfo=UTC))
    claim = await web.claim(row, uuid4())

    over = "outcome_unknown" if before == "executing" else "expired"
    assert claim["outcome"] == ("already_finished" if before in ("completed", "failed") else over)


async def test_old_duplicates_of_one_wish_are_both_executed_and_the_same_wish_may_come_anew(web: Functions) -> None:
    await web.at(datetime(2099, 3, 4, 17, 30, tzinfo=UTC))

    assert (await web.claim(row_number(1), uuid4()))["outcome"] == "claimed"
    assert (await web.claim(row_number(2), uuid4()))["outcome"] == "claimed"
    wanted = (await web.row(row_number(1)))["booking_data"]
    assert (await web.create(wanted, OPENING))["outcome"] == "created"


async def test_an_adopted_failure_can_be_retried_moved_and_cancelled(web: Functions) -> None:
    retried = await web.retry(row_number(8), datetime(2099, 3, 4, 9, tzinfo=UTC))
    assert (retried["outcome"], retried["replaced_message_id"]) == ("retried", "msg_old_8")
    moved = await web.reschedule(row_number(8), datetime(2099, 3, 4, 10, tzinfo=UTC))
    assert (moved["outcome"], moved["prebooking"]["version"]) == ("rescheduled", 3)
    assert (await web.cancel(row_number(8)))["outcome"] == "cancelled"


async def test_the_newest_device_is_found_though_its_kind_was_never_written(web: Functions) -> None:
    await web.at(datetime(2099, 3, 4, 17, 30, tzinfo=UTC))

    assert (await web.claim(row_number(13), uuid4()))["session"]["token"] == "69233|1768841634|d1"


async def test_the_old_writers_sessions_are_leased_and_saved_under_their_triggers(web: Functions) -> None:
    lease = uuid4()
    known = "69232|1768841634|b1"
    leased = await web.call("lease_session", user_email="ana@example.com", token=known, lease=lease, lease_seconds=10.0)
    assert leased["outcome"] == "leased"

    saved = await web.call(
        "save_session", id=UUID(leased["session"]["id"]), lease=lease, old_token=known, new_token="new", cookies=[]
    )

    assert (saved["outcome"], saved["session"]["token"]) == ("saved", "new")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("table", ["prebookings", "auth_sessions"])
async def test_the_adopted_tables_are_closed_to_outsiders_too(web: Functions, role: str, table: str) -> None:
    kinds = "select, insert, update, delete, truncate, references, trigger"

    assert not await web.connection.fetchval("select has_table_privilege($1, $2, $3)", role, f"public.{table}", kinds)
    assert await web.connection.fetchval("select relrowsecurity from pg_class where oid = $1::regclass", table)
