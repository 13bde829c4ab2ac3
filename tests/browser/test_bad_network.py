"""The page on a gym's Wi-Fi: answers that fail, hang or are somebody else's, ended sessions, wrong clocks."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Route, expect
from tests.browser.page_checks import ANA, MADRID, Watched
from tests.browser.test_page import SOON

LIST = re.compile(r"/prebookings\?limit")
CREATE = re.compile(r"/prebookings$")
REFRESH = re.compile(r"grant_type=refresh_token")
TOO_MANY: dict[str, Any] = {
    "status": 429,
    "json": {"code": 429, "error_code": "over_request_rate_limit", "msg": "slow"},
}
GONE: dict[str, Any] = {"status": 400, "json": {"code": 400, "error_code": "refresh_token_not_found", "msg": "gone"}}


async def expire(page: Watched) -> None:
    """The access token, by the page's clock."""
    await page.page.evaluate(
        "() => { const key = 'prebooking.session', kept = JSON.parse(localStorage.getItem(key));"
        "localStorage.setItem(key, JSON.stringify({ ...kept, expires_at: 0 })); }"
    )


async def session(page: Watched) -> Any:
    return await page.page.evaluate("localStorage.getItem('prebooking.session')")


async def test_a_list_that_failed_at_first_comes_by_itself(page: Watched) -> None:
    page.expected.append("ERR_FAILED")
    await page.world.prebook(ANA, datetime.now(UTC) + SOON)
    await page.page.route(LIST, lambda route: route.abort())
    await page.sign_in(listing=False)
    await expect(page.page.locator("#alert")).to_contain_text("The service does not answer")
    await expect(page.page.locator("#mine-empty")).to_be_hidden()
    await expect(page.page.locator("#next-title")).to_have_text("Loading")
    await page.page.unroute(LIST)
    await expect(page.page.locator("#mine > li")).to_have_count(1)
    await expect(page.page.locator("#next-title")).to_have_text("Next opening")
    await expect(page.page.locator("#alert")).to_be_hidden()


async def test_gyms_and_series_that_failed_at_first_come_by_themselves(page: Watched) -> None:
    page.expected.append("ERR_FAILED")
    page.put_up(opens_in=SOON)
    await page.page.clock.install()
    for path in ("**/boxes", "**/series"):
        await page.page.route(path, lambda route: route.abort())
    await page.sign_in(listing=False)
    for line in ("#find-problem", "#alert"):
        await expect(page.page.locator(line)).to_contain_text("The service does not answer")
    await page.page.unroute_all()
    await page.page.clock.fast_forward(31_000)
    await page.choose_day()
    await page.prebook()
    for line in ("#find-problem", "#alert"):
        await expect(page.page.locator(line)).to_be_hidden()


async def test_somebody_elses_answer_is_not_taken_for_the_services(page: Watched) -> None:
    """A portal's page says 200."""
    portals: list[dict[str, Any]] = [
        {"status": 200, "content_type": "text/html", "body": "<p>Welcome to our Wi-Fi</p>"}
    ]

    async def answer(route: Route) -> None:
        await (route.fulfill(**portals.pop()) if portals else route.continue_())

    await page.world.prebook(ANA, datetime.now(UTC) + SOON)
    await page.page.route(LIST, answer)
    await page.sign_in(listing=False)
    await expect(page.page.locator("#mine > li")).to_have_count(1)


async def test_a_request_that_hangs_is_sent_again_and_done_once(page: Watched) -> None:
    held: list[Route] = []

    async def hold(route: Route) -> None:
        if held:
            await route.continue_()
        held.append(route)

    page.put_up(opens_in=SOON)
    await page.sign_in()
    await page.page.route(CREATE, hold)
    await page.prebook()
    assert len(held) == 2
    assert await page.world.database.fetchval("select count(*) from public.prebookings") == 1


async def test_a_supabase_that_is_asked_too_often_signs_nobody_out(page: Watched) -> None:
    page.expected.append("429")
    page.put_up(opens_in=SOON)
    await page.sign_in()
    await expire(page)
    await page.page.route(REFRESH, lambda route: route.fulfill(**TOO_MANY))
    await page.row().get_by_role("button", name="Prebook").click()
    await expect(page.page.locator("#find-problem")).to_have_text("Supabase refused: slow")
    assert await session(page) is not None
    await page.page.unroute(REFRESH)
    await page.prebook()


@pytest.mark.parametrize("where", ["listing", "dialog"])
async def test_a_session_that_has_ended_leads_to_the_sign_in_whatever_was_pressed(page: Watched, where: str) -> None:
    page.expected.append("status of 400")
    page.put_up(opens_in=SOON)
    await page.sign_in()
    if where == "dialog":
        async with page.page.expect_response("**/series"):  # which tells of it, too
            card = await page.prebook()
        await card.get_by_role("button", name="Move").click()
    await expire(page)
    await page.page.route(REFRESH, lambda route: route.fulfill(**GONE))
    pressed = page.page.locator("#move [type=submit]") if where == "dialog" else page.row().locator("button.main")
    await pressed.click()
    await expect(page.page.locator("#alert")).to_have_text("You are signed out: sign in again.")
    await expect(page.page.locator("#sign-in")).to_be_visible()
    await expect(page.page.locator("#move")).to_be_hidden()
    await page.page.get_by_role("button", name=ANA).click()
    await expect(page.page.locator("#live-word")).to_have_text("Live")


async def test_a_clock_that_is_hours_ahead_asks_for_no_token_more_than_others(page: Watched) -> None:
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    page.put_up(opens_in=SOON)
    await page.page.clock.install(time=datetime.now(UTC) + timedelta(hours=2))
    await page.sign_in()
    await page.prebook()
    assert [url for url in asked if REFRESH.search(url)] == []


@pytest.mark.parametrize("page", [{"timezone_id": "Atlantic/Canary"}], indirect=True)
async def test_who_is_in_another_time_zone_reads_the_gyms_hour_on_the_card_as_in_the_listing(page: Watched) -> None:
    opens_at = page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    hour = f"{opens_at.astimezone(MADRID):%H:%M}"
    await expect(page.row().locator(".time strong")).to_have_text(hour)
    await expect(card.locator(".place")).to_contain_text(f", {hour}")


async def test_a_page_that_is_left_open_overnight_shows_the_next_days(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.page.clock.install()
    await page.sign_in()
    await page.page.clock.fast_forward("24:00:00")
    tomorrow = datetime.now(MADRID) + timedelta(days=1)
    await expect(page.page.locator("#days button").first).to_have_attribute("data-day", f"{tomorrow:%Y%m%d}")
