"""Each bad day, and what it leaves behind."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.local.aimharder_guest import BOOK, DAY, LISTING, Guest, Town, new_town

from prebooking_local.aimharder import Entry, Fault


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        town.open()
        yield town


def spoil(town: Town, **fault: Any) -> int:
    return town.aimharder.faults.add(Fault.model_validate(fault))


async def raw_book(guest: Guest, timeout_s: float = 5) -> httpx.Response:
    form = {"id": "501", "day": DAY}
    return await guest.request("POST", guest.prefix + BOOK, data=form, timeout=timeout_s)


def is_booked(town: Town) -> bool:
    return bool(town.aimharder.site.bookings())


def last_entry(town: Town) -> Entry:
    return town.aimharder.ledger.entries[-1]


async def until_booked(town: Town) -> None:
    async with asyncio.timeout(30):
        while not is_booked(town):
            await asyncio.sleep(0.005)


async def test_a_slow_answer_is_the_decided_one_late(town: Town) -> None:
    spoil(town, kind="slow", seconds=0.1)
    started = time.monotonic()
    answer = await raw_book(town.member())

    assert answer.json()["bookState"] == 1
    assert time.monotonic() - started >= 0.1
    assert last_entry(town).delivered


async def test_a_hanging_answer_was_decided_and_never_comes(town: Town) -> None:
    spoil(town, kind="hang")
    with pytest.raises(httpx.ReadTimeout):
        await raw_book(town.member(), timeout_s=0.1)

    assert is_booked(town)
    entry = last_entry(town)
    assert (entry.decided["bookState"], entry.fault, entry.delivered, entry.status) == (1, "hang", False, None)


async def test_the_ledger_tells_when_a_sender_hung_up_before_its_answer(town: Town) -> None:
    spoil(town, kind="slow", path=BOOK, seconds=0.05)
    spoil(town, kind="hang", path=LISTING)
    ana = town.member()
    await ana.book()
    with pytest.raises(httpx.ReadTimeout):
        await ana.client.get("/mygym/api/bookings", timeout=0.05)
    town.clock.turn(1)
    async with asyncio.timeout(5):
        while not town.aimharder.ledger.of(LISTING)[0].left_ns:
            await asyncio.sleep(0.01)

    assert [entry.left_ns for entry in town.aimharder.ledger.of(BOOK)] == [None]


async def test_a_reset_after_the_booking_loses_only_the_answer(town: Town) -> None:
    spoil(town, kind="reset")
    with pytest.raises(httpx.ReadError):
        await raw_book(town.member())

    assert is_booked(town)
    assert (last_entry(town).decided["bookState"], last_entry(town).delivered) == (1, False)


async def test_a_reset_before_the_handling_books_nothing_and_is_in_the_ledger(town: Town) -> None:
    spoil(town, kind="reset", handled=False)
    with pytest.raises(httpx.ReadError):
        await raw_book(town.member())

    assert not is_booked(town)
    entry = last_entry(town)
    assert (entry.decided, entry.fault, entry.member) == (None, "reset", "ana@example.com")
    assert entry.request.form["id"] == "501"


async def test_a_late_request_is_carried_out_though_its_sender_gave_up(town: Town) -> None:
    spoil(town, kind="late", seconds=0.15)
    with pytest.raises(httpx.ReadTimeout):
        await raw_book(town.member(), timeout_s=0.05)
    given_up = is_booked(town)
    await until_booked(town)

    assert not given_up
    assert not last_entry(town).delivered


async def test_a_truncated_answer_breaks_off_in_its_body_after_the_booking(town: Town) -> None:
    spoil(town, kind="truncated")
    with pytest.raises(httpx.RemoteProtocolError):
        await raw_book(town.member())

    assert is_booked(town)
    assert not last_entry(town).delivered


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 504])
async def test_an_error_page_has_its_status_and_no_booking_behind_it(town: Town, status: int) -> None:
    spoil(town, kind="status", status=status)
    answer = await raw_book(town.member())

    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=UTF-8")
    assert not is_booked(town)
    assert last_entry(town).status == status


async def test_an_error_page_may_hide_a_booking(town: Town) -> None:
    spoil(town, kind="status", status=504, handled=True, seconds=0.02)

    assert (await raw_book(town.member())).status_code == 504
    assert is_booked(town)
    entry = last_entry(town)
    assert (entry.decided["bookState"], entry.status, entry.delivered) == (1, 504, False)


async def test_a_login_page_comes_with_status_200(town: Town) -> None:
    spoil(town, kind="login_page")
    answer = await raw_book(town.member())

    assert (answer.status_code, "<form" in answer.text, is_booked(town)) == (200, True, False)


async def test_an_empty_answer_is_a_200_with_nothing_in_it(town: Town) -> None:
    spoil(town, kind="empty")
    answer = await raw_book(town.member())

    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_text_with_tags_says_no_state(town: Town) -> None:
    spoil(town, kind="html_text")
    answer = (await raw_book(town.member())).json()

    assert "bookState" not in answer
    assert "<b>" in answer["errorMssg"]


async def test_a_redirect_leads_to_the_login(town: Town) -> None:
    spoil(town, kind="redirect")
    answer = await raw_book(town.member())

    assert (answer.status_code, answer.headers["location"]) == (302, "https://login.aimharder.com/")


async def test_a_body_may_be_huge(town: Town) -> None:
    spoil(town, kind="huge", bytes=1_000_000, handled=True)

    assert len((await raw_book(town.member())).content) > 1_000_000


async def test_a_bomb_is_small_on_the_wire_and_huge_when_unpacked(town: Town) -> None:
    spoil(town, kind="gzip_bomb", bytes=3_000_000)
    request = town.client.build_request("POST", "/mygym/api/book")
    answer = await town.client.send(request, stream=True)
    packed = b"".join([part async for part in answer.aiter_raw()])

    assert len(packed) < 30_000
    assert len(gzip.decompress(packed)) > 3_000_000


async def test_a_living_session_may_be_told_logout(town: Town) -> None:
    spoil(town, kind="logout", path=BOOK)
    ana = town.member()

    assert (await raw_book(ana)).json() == {"logout": 1}
    assert (await ana.request("GET", "/api/whoami")).json()["data"] != []


async def test_a_stale_listing_hides_the_youngest_reservations(town: Town) -> None:
    ana = town.member()
    await ana.book()
    spoil(town, kind="stale", seconds=2)
    stale = await ana.row()
    town.clock.turn(2)
    caught_up = await ana.row()

    assert (stale["bookState"], stale["idres"], stale["ocupation"]) == (None, None, 0)
    assert (caught_up["bookState"], caught_up["ocupation"]) == (1, 1)


@pytest.mark.parametrize(("offset_s", "states"), [(0.5, [1]), (-0.5, [-12, 1])])
async def test_the_gyms_clock_may_be_ahead_or_behind(town: Town, offset_s: float, states: list[int]) -> None:
    town.clock.turn(-0.25)
    spoil(town, kind="clock", seconds=offset_s)
    ana = town.member()
    seen = [(await ana.book())["bookState"]]
    if offset_s < 0:
        town.clock.turn(0.75)
        seen.append((await ana.book())["bookState"])

    assert seen == states


async def test_a_fault_meets_only_the_next_so_many(town: Town) -> None:
    spoil(town, kind="status", status=500, times=2)
    ana = town.member()

    assert [(await raw_book(ana)).status_code for _ in range(3)] == [500, 500, 200]


async def test_a_fault_meets_until_it_is_cleared(town: Town) -> None:
    number = spoil(town, kind="status", status=500)
    ana = town.member()
    spoilt = [(await raw_book(ana)).status_code for _ in range(3)]
    town.aimharder.faults.clear(number)

    assert (spoilt, (await raw_book(ana)).status_code) == ([500, 500, 500], 200)


async def test_a_fault_meets_only_the_path_member_and_box_it_names(town: Town) -> None:
    town.box(slug="other", boid=8)
    spoil(town, kind="status", path=BOOK, member="ana@example.com", box="mygym")
    ana, eva = town.member(), town.member("eva@example.com")
    elsewhere = Guest(ana.client, ana.cookies, "", prefix="/other")
    listing = await ana.request("GET", "/mygym/api/bookings?day=20300117&box=7")

    assert [(await raw_book(guest)).status_code for guest in (ana, eva, elsewhere)] == [500, 200, 200]
    assert listing.status_code == 200


async def test_of_two_faults_the_first_that_meets_goes_first(town: Town) -> None:
    spoil(town, kind="status", status=503, times=1)
    spoil(town, kind="empty", times=1)
    ana = town.member()

    first, second, third = [await raw_book(ana) for _ in range(3)]
    assert (first.status_code, second.content, third.json()["bookState"]) == (503, b"", 1)


async def test_new_connections_are_refused_while_kept_ones_live_on(town: Town) -> None:
    ana = town.member()
    await ana.request("GET", "/api/whoami")  # this connection is kept
    spoil(town, kind="refuse")
    async with httpx.AsyncClient(base_url=town.aimharder.url, verify=False) as newcomer:
        with pytest.raises(httpx.ConnectError):
            await newcomer.get("/api/whoami")
        kept = await ana.request("DELETE", "/_control/faults")
        back = await newcomer.get("/api/whoami")

    assert (kept.status_code, back.status_code) == (200, 200)


async def test_a_refusal_may_end_by_itself(town: Town) -> None:
    spoil(town, kind="refuse", seconds=0.1)
    async with httpx.AsyncClient(base_url=town.aimharder.url, verify=False) as newcomer:
        with pytest.raises(httpx.ConnectError):
            await newcomer.get("/api/whoami")
        async with asyncio.timeout(30):
            while town.aimharder.faults.active:
                await asyncio.sleep(0.005)
        assert (await newcomer.get("/api/whoami")).status_code == 200
