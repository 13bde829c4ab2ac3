"""A member wants a class every week: in a few presses, then followed, skipped, paused, ended; also by keyboard."""

import re
from datetime import datetime, timedelta
from typing import Any

from playwright.async_api import Locator, expect
from tests.browser.page_checks import ANA, MADRID, Watched

from prebooking_local.aimharder import GymClass

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def put_up(page: Watched) -> datetime:
    """The CrossFit of 07:00 of the next Monday that the page shows, which opens in the future or has opened."""
    today = datetime.now(MADRID).replace(hour=7, minute=0, second=0, microsecond=0)
    monday = next(day for day in (today + timedelta(days=n) for n in range(1, 9)) if day.isoweekday() == 1)
    values: dict[str, Any] = {
        "box": "mygym",
        "id": 501,
        "day": f"{monday:%Y%m%d}",
        "time": "07:00 - 08:00",
        "name": "CrossFit",
        "opens_at": (monday - timedelta(days=30)).isoformat(),
    }
    page.world.gym.gym.put_class(GymClass.model_validate(values))
    page._day = monday
    return monday


async def series_of(page: Watched) -> list[dict[str, Any]]:
    answer = await page.world.http.get("/series", headers=page.world.speaking_for(ANA))
    found: list[dict[str, Any]] = answer.json()["series"]
    return found


async def make(page: Watched) -> Locator:
    put_up(page)
    await page.sign_in()
    await page.row("CrossFit").get_by_role("button", name="Every week").click()
    dialog = page.page.get_by_role("dialog", name="Prebook every week")
    await dialog.get_by_role("button", name="Every week").click()
    await expect(dialog).to_be_hidden()
    item = page.page.locator("#series-list > li")
    await expect(item).to_have_count(1)
    return item


async def test_monday_wednesday_and_friday_at_seven_are_four_presses(page: Watched) -> None:
    put_up(page)
    await page.sign_in()
    presses = 0

    async def press(target: Locator) -> None:
        nonlocal presses
        presses += 1
        await target.click()

    await press(page.row("CrossFit").get_by_role("button", name="Every week"))
    dialog = page.page.get_by_role("dialog", name="Prebook every week")
    await expect(dialog.get_by_label("Monday")).to_be_checked()
    await press(dialog.locator("label", has_text="Wednesday"))
    await press(dialog.locator("label", has_text="Friday"))
    await press(dialog.get_by_role("button", name="Every week"))
    await expect(page.page.locator("#series-list > li")).to_contain_text("CrossFit, 07:00")
    [series] = await series_of(page)
    assert (series["weekdays"], series["class"]) == ([1, 3, 5], {"starts": "07:00", "name": "CrossFit"})
    assert series["opens"] == {"days_before": 4, "time_zone": "Europe/Madrid"}
    assert presses <= 5
    await expect(page.row("CrossFit").locator(".does")).to_contain_text("every week")
    await expect(page.row("CrossFit").get_by_role("button", name="Every week")).to_have_count(0)
    await expect(page.row("CrossFit").locator(".status")).to_have_text(re.compile("^(prebooked|booked)$"))


async def test_the_coming_weeks_are_shown_and_a_day_is_skipped_and_taken_again(page: Watched) -> None:
    item = await make(page)
    days = item.locator(".coming > li")
    await expect(days).to_have_count(4)
    await expect(days.first).to_contain_text("booked")
    await expect(days.first.get_by_role("button")).to_have_count(0)
    # Its class opened a month ago: nothing is drawn beside that opening.
    await expect(page.page.locator("#mine > li.completed .how")).to_have_count(0)
    await expect(days.last).to_contain_text("opens")
    await days.last.get_by_role("button", name="Skip").click()
    await expect(days.last).to_contain_text("skipped")
    [series] = await series_of(page)
    assert series["skip"] == [series["next"][3]["day"]]
    await expect(page.page.locator("#said")).to_have_text("CrossFit at 07:00: 1 day skipped.")
    await days.last.get_by_role("button", name="Take").click()
    await expect(days.last).not_to_contain_text("skipped")
    assert (await series_of(page))[0]["skip"] == []


async def test_it_is_paused_and_goes_on_by_keyboard_and_the_focus_stays(page: Watched) -> None:
    item = await make(page)
    pause = item.get_by_role("button", name="Pause CrossFit at 07:00")
    await pause.focus()
    await page.page.keyboard.press("Enter")
    await expect(item.locator(".status")).to_have_text("paused")
    await expect(item.get_by_role("button", name="Go on with CrossFit at 07:00")).to_be_focused()
    await expect(item.locator(".coming > li").first).to_contain_text("paused")
    await page.page.keyboard.press("Space")
    await expect(item.locator(".status")).to_have_count(0)
    assert (await series_of(page))[0]["paused"] is False


async def test_weekdays_are_chosen_by_keyboard(page: Watched) -> None:
    put_up(page)
    await page.sign_in()
    await page.row("CrossFit").get_by_role("button", name="Every week").press("Enter")
    dialog = page.page.get_by_role("dialog", name="Prebook every week")
    await expect(dialog.get_by_label("Monday")).to_be_focused()
    await page.page.keyboard.press("Space")
    await page.page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_have_text("Choose a weekday at least.")
    await page.page.keyboard.press("Tab")
    await page.page.keyboard.press("Space")
    await page.page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    assert (await series_of(page))[0]["weekdays"] == [2]


async def test_it_ends_after_a_question_and_may_keep_what_is_prebooked(page: Watched) -> None:
    item = await make(page)
    before = len(
        (await page.world.http.get("/prebookings", headers=page.world.speaking_for(ANA))).json()["prebookings"]
    )
    await item.get_by_role("button", name="End").click()
    dialog = page.page.get_by_role("dialog", name="End the series?")
    await dialog.get_by_role("button", name="Go on").click()
    await expect(dialog).to_be_hidden()
    await item.get_by_role("button", name="End").click()
    await dialog.get_by_label("Keep what is prebooked already").check()
    await dialog.get_by_role("button", name="End it").click()
    await expect(item).to_have_count(0)
    await expect(page.page.locator("#series")).to_be_hidden()
    assert await series_of(page) == []
    rows = (await page.world.http.get("/prebookings", headers=page.world.speaking_for(ANA))).json()["prebookings"]
    assert len(rows) == before
    assert "cancelled" not in {row["status"] for row in rows}


async def test_a_day_that_is_cancelled_on_its_card_is_skipped_in_the_series(page: Watched) -> None:
    item = await make(page)
    waiting = page.page.locator("#mine > li.pending", has_text="Opens").first  # a Monday that is open is booked at once
    await waiting.get_by_role("button", name="Cancel").click()
    await expect(item.locator(".coming > li.skipped")).to_have_count(1)


async def test_what_another_member_wants_is_not_shown(page: Watched) -> None:
    item = await make(page)
    await page.page.get_by_role("button", name="Sign out").click()
    await expect(item).to_have_count(0)
    await expect(page.page.get_by_role("heading", name=re.compile("^The class opens"))).to_be_visible()
