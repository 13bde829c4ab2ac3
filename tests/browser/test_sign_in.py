"""A member signs in to AimHarder on the page, with the e-mail and password of their gym's app."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Locator, expect
from tests.browser.page_checks import ANA, Watched
from tests.support.executions import LOGIN
from tests.web.signing_in import ACCOUNT, KEY, PASSWORD, enrol

REMEMBER = "Sign me in again when the session ends"
sealed = pytest.mark.parametrize("shown", [{"session_encryption_keys": KEY}], indirect=True)


class Member:
    """Counts what a member presses and fills in."""

    def __init__(self, page: Watched) -> None:
        self.page = page
        self.steps = 0

    async def press(self, name: str, within: Locator | None = None) -> None:
        self.steps += 1
        await (within or self.page.page).get_by_role("button", name=name, exact=True).click()

    async def fill(self, label: str, text: str) -> None:
        self.steps += 1
        await self.page.page.get_by_label(label, exact=True).fill(text)

    async def sign_in(self, password: str = PASSWORD) -> None:
        await self.fill("E-mail at AimHarder", ACCOUNT)
        await self.fill("Password at AimHarder", password)
        await self.press("Sign in", self.dialog)

    @property
    def dialog(self) -> Locator:
        return self.page.page.get_by_role("dialog", name="Sign in to AimHarder")


async def start(page: Watched) -> Member:
    """Ana is at the page, and has no session at AimHarder."""
    page.expected.append("status of 409")
    await page.world.database.execute("delete from public.auth_sessions")
    enrol(page.world)
    member = Member(page)
    await page.page.goto(page.world.url)
    member.steps += 1
    await page.page.get_by_role("button", name=ANA).click()
    await member.press("Sign in to AimHarder")
    await expect(member.dialog).to_be_visible()
    await expect(page.page.locator("#find-problem")).to_be_hidden()
    return member


async def test_from_an_e_mail_and_password_to_a_fired_prebooking(page: Watched) -> None:
    page.put_up(opens_in=timedelta(minutes=-2))
    member = await start(page)
    await member.sign_in()
    await expect(member.dialog).to_be_hidden()
    await page.choose_day()
    member.steps += 1
    card = await page.prebook()
    member.steps += 1
    await expect(card.locator(".status")).to_have_text("booked")
    assert member.steps <= 8
    assert page.world.bookings(ACCOUNT) == 1
    await expect(page.page.locator("#session-hint")).to_be_hidden()
    await expect(page.page.locator("#gym-account-said")).to_have_text(
        f"Signed in to AimHarder as {ACCOUNT}. When the session ends, you sign in again."
    )


async def test_a_wrong_password_is_told_at_its_field_and_tried_again(page: Watched) -> None:
    page.expected.append("status of 422")
    member = await start(page)
    await member.sign_in("wrong one")
    field = page.page.get_by_label("Password at AimHarder")
    await expect(member.dialog.get_by_role("alert")).to_contain_text("e-mail or password is wrong")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await member.sign_in()
    await expect(member.dialog).to_be_hidden()


async def test_a_locked_account_is_told_and_each_press_is_one_try(page: Watched) -> None:
    page.expected += ["status of 422", "status of 429"]
    member = await start(page)
    for _ in range(5):
        await member.sign_in("wrong one")
        await expect(member.dialog.locator("[aria-busy]")).to_have_count(0)
    await member.sign_in()
    await expect(member.dialog.get_by_role("alert")).to_contain_text(re.compile("too many attempts", re.IGNORECASE))
    assert len(page.world.gym.ledger.of(LOGIN)) == 5


@sealed
async def test_a_password_is_remembered_only_if_one_says_so_and_forgotten_with_the_account(page: Watched) -> None:
    member = await start(page)
    await expect(page.page.get_by_label(re.compile(REMEMBER))).not_to_be_checked()
    await page.page.get_by_label(re.compile(REMEMBER)).check()
    await member.sign_in()
    await expect(page.page.locator("#gym-account-said")).to_contain_text("you are signed in again")
    await member.press("Forget this account")
    await expect(page.page.locator("#session-hint")).to_be_visible()
    await expect(page.page.locator("#gym-account")).to_be_hidden()


async def test_where_nothing_would_encrypt_it_no_password_is_offered_to_be_kept(page: Watched) -> None:
    await start(page)
    await expect(page.page.get_by_label(re.compile(REMEMBER))).to_be_hidden()


async def test_a_password_manager_knows_which_account_it_is(page: Watched) -> None:
    await start(page)
    asked = [page.page.get_by_label(f"{what} at AimHarder") for what in ("E-mail", "Password")]
    kinds = [await field.get_attribute("autocomplete") for field in asked]
    assert kinds == ["section-aimharder username", "section-aimharder current-password"]


async def test_it_can_all_be_done_by_keyboard(page: Watched) -> None:
    member = await start(page)
    await page.page.keyboard.type(ACCOUNT)
    await page.page.keyboard.press("Tab")
    await page.page.keyboard.type(PASSWORD)
    await page.page.keyboard.press("Enter")
    await expect(member.dialog).to_be_hidden()
