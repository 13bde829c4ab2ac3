"""A member gives a booked place back on the page: after a question, and a second one where it costs the credit."""

from datetime import timedelta

from playwright.async_api import expect
from tests.browser.page_checks import ANA, Watched
from tests.support.world import BOX

from prebooking_local.aimharder import Box

PAST = timedelta(minutes=-2)


async def book(page: Watched) -> None:
    page.put_up(opens_in=PAST)
    await page.sign_in()
    await expect((await page.prebook()).locator(".status")).to_have_text("booked")


async def test_a_place_is_given_back_after_a_question(page: Watched) -> None:
    await book(page)
    await page.card().get_by_role("button", name="Give the place back").click()
    dialog = page.page.get_by_role("dialog", name="Give the place back?")
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(dialog).to_be_hidden()
    assert page.world.bookings(ANA) == 1
    await page.card().get_by_role("button", name="Give the place back").click()
    await dialog.get_by_role("button", name="Give it back").press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(page.card().locator(".status")).to_have_text("given back")
    await expect(page.card().get_by_role("button", name="Give the place back")).to_have_count(0)
    assert page.world.bookings(ANA) == 0


async def test_a_late_one_is_asked_about_twice(page: Watched) -> None:
    page.world.gym.gym.put_box(Box(slug=BOX.slug, boid=BOX.boid, late_cancel_minutes=60 * 24 * 365))
    page.expected.append("status of 409")
    await book(page)
    await page.card().get_by_role("button", name="Give the place back").click()
    dialog = page.page.get_by_role("dialog", name="Give the place back?")
    await dialog.get_by_role("button", name="Give it back").click()
    await expect(dialog).to_contain_text("the gym keeps the credit")
    assert page.world.bookings(ANA) == 1
    await dialog.get_by_role("button", name="Give it back").click()
    await expect(page.card().locator(".status")).to_have_text("given back")
    assert page.world.bookings(ANA) == 0
