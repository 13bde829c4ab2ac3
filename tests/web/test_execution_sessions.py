"""Making ready: whether the session lives, whether the class is there, whether the user is in it already."""

import json
from typing import Any

import pytest
from tests.support.executions import (
    ANA,
    LISTING,
    ON_TIME_MS,
    REFRESH,
    WHOAMI,
    begun,
    book,
    bookings_asked,
    delivered,
    inject_fault,
    prebook_open_class,
    ran,
)
from tests.support.world import BOX, CLASS_ID, World


@pytest.mark.parametrize(("state", "outcome"), [(1, "already_booked"), (0, "waiting_list")])
async def test_who_is_in_the_class_already_is_told_so_and_nothing_is_sent(
    sweepless: World, state: Any, outcome: str
) -> None:
    await sweepless.member(ANA)
    opens_at = sweepless.open_class()
    book(sweepless, state=state)
    answered, row = await ran(sweepless, await sweepless.prebook(ANA, opens_at))
    assert (answered.status, row["status"], row["result"]["outcome"]) == (200, "completed", outcome)
    assert row["result"]["bookingId"] == str(sweepless.gym.site.bookings()[0]["id"])
    assert row["result"]["timings"]["fire_lateness_ms"] is None
    assert not bookings_asked(sweepless)


async def test_the_booking_of_a_relative_is_not_the_users_own(sweepless: World) -> None:
    await sweepless.member(ANA, family=[{"id": "77"}])
    opens_at = sweepless.open_class()
    book(sweepless)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, opens_at, familyId="77"))
    assert row["result"]["outcome"] == "booked"


@pytest.mark.parametrize("dead", ["empty", "logout"])
async def test_a_dead_session_is_refreshed_once_and_stored_before_the_opening(sweepless: World, dead: Any) -> None:
    sweepless.gym.accounts.rules.dead_whoami = dead
    await sweepless.member(ANA)
    session = sweepless.gym.accounts.sessions(ANA)[0]
    before = session.auth, session.token
    inject_fault(sweepless, "logout", WHOAMI)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert row["result"]["outcome"] == "booked"

    stored = await sweepless.database.fetchrow("select * from public.auth_sessions")
    cookies = {cookie["name"]: cookie["value"] for cookie in json.loads(stored["aimharder_cookies"])}
    assert (cookies["amhrdrauth"], stored["aimharder_token"]) == (session.auth, session.token)
    assert before != (session.auth, session.token)
    assert stored["token_update_count"] == 1
    assert stored["refresh_lease"] is None
    assert len(sweepless.gym.ledger.of(REFRESH)) == 1


async def test_a_session_dead_for_good_fails_the_row_and_nothing_is_sent(sweepless: World) -> None:
    await sweepless.member(ANA)
    sweepless.gym.accounts.kill(ANA, sweepless.gym.site.clock())
    answered, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert (answered.status, row["status"], row["error_code"]) == (200, "failed", "session_expired")
    assert not bookings_asked(sweepless)
    assert await sweepless.database.fetchval("select last_token_update_error from public.auth_sessions") == "logout"


async def test_without_a_session_it_fails_and_tells_to_sign_in(sweepless: World) -> None:
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert (row["status"], row["error_code"]) == ("failed", "session_expired")
    assert "sign in again" in row["error_message"]


async def test_the_background_session_is_used_and_its_owner_found_in_any_case(sweepless: World) -> None:
    await sweepless.member("Ana@Example.com")
    await sweepless.database.execute(
        "insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type)"
        " values ($1, 'x', '[]', 'phone', 'device')",
        ANA,
    )
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert row["result"]["outcome"] == "booked"


async def test_two_executions_refresh_one_dead_session_once(sweepless: World) -> None:
    sweepless.gym.accounts.rules.stale_token_kills = True
    await sweepless.member(ANA)
    opens_at = sweepless.open_class()
    sweepless.open_class(class_id=502, time="10:00 - 11:00")
    inject_fault(sweepless, "logout", WHOAMI, times=2)
    rows = [await sweepless.prebook(ANA, opens_at, id=class_id) for class_id in (CLASS_ID, 502)]
    for row in rows:
        assert (await delivered(sweepless, row)).outcome == "booked"
    assert len(sweepless.gym.ledger.of(REFRESH)) <= 2
    assert sweepless.bookings(ANA) == 2


@pytest.mark.parametrize("gone", ["removed", "cancelled"])
async def test_a_class_that_is_gone_fails_the_row_and_nothing_is_sent(sweepless: World, gone: str) -> None:
    await sweepless.member(ANA)
    # Removed, it may yet be listed until 20 s after the opening.
    opens_at = sweepless.open_class(-20, cancelled_id=3 if gone == "cancelled" else None)
    sweepless.open_class(class_id=CLASS_ID + 1, time="09:00 - 10:00")
    if gone == "removed":
        sweepless.gym.gym.remove_class(BOX.slug, CLASS_ID)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, opens_at))
    assert (row["status"], row["error_code"]) == ("failed", "class_not_found")
    assert not bookings_asked(sweepless)


async def test_a_day_without_any_class_is_tried_at_its_opening_and_again_until_it_is_there(brief: World) -> None:
    await brief.member(ANA)
    opens_at = brief.open_class(-30)
    brief.gym.gym.remove_class(BOX.slug, CLASS_ID)
    answered, row = await ran(brief, await brief.prebook(ANA, opens_at))
    assert (answered.status, answered.outcome, row["status"], row["attempts"]) == (503, "retry-later", "pending", 0)
    assert len(bookings_asked(brief)) == 1
    brief.open_class(opens_at=opens_at.isoformat(), day=brief.day(opens_at))
    row = await brief.finished(ANA, row["id"])
    assert (row["result"]["outcome"], row["attempts"]) == ("booked", 1)


async def test_a_refresh_that_takes_long_does_not_hold_the_request_back(sweepless: World) -> None:
    await sweepless.member(ANA)
    inject_fault(sweepless, "logout", WHOAMI)
    inject_fault(sweepless, "slow", REFRESH, seconds=2.5)
    before = await sweepless.database.fetchval("select aimharder_token from public.auth_sessions")
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class(1.5)))
    assert row["result"]["outcome"] == "booked"
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS
    # It went on beside the request, and the token that the gym had rotated was kept.
    assert await sweepless.database.fetchval("select aimharder_token from public.auth_sessions") != before


@pytest.mark.parametrize("path", [LISTING, WHOAMI])
async def test_a_question_that_hangs_is_skipped_and_the_request_leaves_on_time(sweepless: World, path: str) -> None:
    inject_fault(sweepless, "hang", path, times=None)
    await sweepless.member(ANA)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class(2)))
    assert row["result"]["outcome"] == "booked"
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS


async def test_after_a_slow_refresh_no_question_delays_the_request(sweepless: World) -> None:
    inject_fault(sweepless, "logout", WHOAMI, seconds=1.2)
    inject_fault(sweepless, "slow", LISTING)
    inject_fault(sweepless, "hang", LISTING)
    await sweepless.member(ANA)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class(2)))
    assert row["result"]["outcome"] == "booked"
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < ON_TIME_MS


async def test_a_silent_account_host_does_not_fail_a_row(sweepless: World) -> None:
    for path in (WHOAMI, REFRESH):
        inject_fault(sweepless, "status", path, times=None)
    _, row = await ran(sweepless, await prebook_open_class(sweepless))
    assert row["result"]["outcome"] == "booked"


async def test_cancelled_before_it_has_begun_nothing_is_sent(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(2.5))
    inject_fault(sweepless, "slow", WHOAMI, seconds=0.3)
    answer = await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    assert answer.json()["status"] == "cancelled"
    assert (await delivered(sweepless, row)).outcome == "cancelled"
    assert not bookings_asked(sweepless)


async def test_once_begun_it_can_no_longer_be_cancelled(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(1.5))
    await begun(sweepless, row)
    answer = await sweepless.http.delete(f"/prebookings/{row['id']}", headers=sweepless.speaking_for(ANA))
    assert (answer.status_code, answer.json()["code"]) == (409, "booking-in-progress")
    assert (await delivered(sweepless, row)).outcome == "booked"
