"""A member gets the secret address of their calendar on the page, copies it, renews it and removes it."""

import json

import httpx
import pytest
from playwright.async_api import Locator, expect
from tests.browser.page_checks import Watched
from tests.browser.test_page_quality import DESKTOP, PHONE, sized, violations
from tests.support.icalendar_rules import read_calendar
from tests.web.test_email_owners import release

from prebooking_local.supabase import Fault


def address(page: Watched) -> Locator:
    return page.page.get_by_label("Address of your calendar")


def button(page: Watched, name: str) -> Locator:
    return page.page.locator("#calendar").get_by_role("button", name=name, exact=True)


async def open_calendar(page: Watched) -> None:
    await page.sign_in()
    await page.page.get_by_text("Subscribe to the calendar", exact=True).click()


async def get_address(page: Watched) -> str:
    before = await address(page).input_value()
    await button(page, "New address").click()
    await expect(address(page)).not_to_have_value(before)
    return await address(page).input_value()


async def status_of(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as program:
        return (await program.get(url)).status_code


async def test_an_address_is_got_copied_renewed_and_removed(page: Watched) -> None:
    page.put_up()
    await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_calendar(page)
    await page.prebook()
    await expect(address(page)).to_be_hidden()
    await expect(button(page, "Copy")).to_be_hidden()

    first = await get_address(page)
    await button(page, "Copy").click()
    await expect(button(page, "Copied")).to_be_visible()
    assert await page.page.evaluate("navigator.clipboard.readText()") == first
    [event] = read_calendar((await page.world.http.get(first)).content).values()
    assert (event["SUMMARY"], event["STATUS"]) == ("WOD", "TENTATIVE")

    second = await get_address(page)
    await expect(button(page, "Copy")).to_be_visible()
    assert [await status_of(first), await status_of(second)] == [404, 200]

    await button(page, "Remove").click()
    await expect(address(page)).to_be_hidden()
    assert await status_of(second) == 404


async def test_it_can_be_done_by_keyboard_and_a_screen_reader_hears_of_it(page: Watched) -> None:
    await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.sign_in()
    said, press = page.page.get_by_role("status").and_(page.page.locator("#said")), page.page.keyboard.press
    await page.page.locator("#calendar summary").focus()
    await press("Enter")
    await press("Tab")
    await expect(button(page, "Remove")).to_be_focused()
    await press("Tab")
    await press("Enter")
    await expect(address(page)).to_be_focused()
    await expect(said).to_contain_text("address of your calendar")
    for _ in range(3):
        await press("Tab")
    await expect(button(page, "Copy")).to_be_focused()
    await press("Space")
    await expect(said).to_have_text("The address was copied.")
    await press("Shift+Tab")
    await press("Shift+Tab")
    await press("Enter")
    await expect(said).to_have_text("The calendar has no address any more.")
    await expect(button(page, "New address")).to_be_focused()


async def test_where_the_browser_does_not_let_it_copy_the_address_is_selected(page: Watched) -> None:
    await page.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    await open_calendar(page)
    url = await get_address(page)
    await button(page, "Copy").click()
    await expect(page.page.locator("#calendar").get_by_role("alert")).to_contain_text("copy the selected address")
    assert await page.page.evaluate("getSelection().toString()") == url


async def test_a_problem_is_told_where_it_arose_and_what_was_there_stays(page: Watched) -> None:
    page.expected += ["status of 503", "status of 403"]
    await open_calendar(page)
    url = await get_address(page)
    page.world.gateway.faults.set(Fault(function="make_calendar", kind="unavailable", times=None))
    await button(page, "New address").click()
    alert = page.page.locator("#calendar").get_by_role("alert")
    await expect(alert).to_contain_text("database does not respond")
    page.world.gateway.faults.set()
    await expect(address(page)).to_have_value(url)
    await button(page, "New address").click()
    await expect(alert).to_be_hidden()
    await release(page.world)
    await button(page, "New address").click()
    await expect(alert).to_contain_text("already belongs to another account")


async def test_who_signs_out_leaves_no_address_behind(page: Watched) -> None:
    await open_calendar(page)
    url = await get_address(page)
    await page.page.get_by_role("button", name="Sign out").click()
    await expect(page.page.locator("#sign-in")).to_be_visible()
    kept = await page.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie")
    assert url not in json.dumps(kept) + await page.page.content()
    assert await page.page.locator("#calendar-url").input_value() == ""


@pytest.mark.parametrize("page", [*sized(DESKTOP), *sized(PHONE)], indirect=True)
async def test_axe_finds_nothing_and_nothing_runs_over_the_edge(page: Watched) -> None:
    await open_calendar(page)
    await get_address(page)
    assert await violations(page.page) == []
    wide, room = await page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room
    small = "els => els.filter(e => e.offsetParent && e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"
    assert await page.page.locator("#calendar button").evaluate_all(small) == []
