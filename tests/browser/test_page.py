"""The page at `/`, in a real browser, before the real service: what a member can do, and what they see of it."""

import json
import re
from datetime import UTC, datetime, timedelta

from playwright.async_api import expect
from tests.browser.page_checks import ANA, Watched
from tests.support.executions import until
from tests.support.world import PASSWORD

from prebooking_local.supabase.faults import Fault

SOON = timedelta(hours=1)
PAST = timedelta(minutes=-2)


async def move(page: Watched, seconds: int) -> None:
    """Moves the one prebooking to so many seconds from now, as a person does."""
    await page.card().get_by_role("button", name="Move").click()
    dialog = page.page.get_by_role("dialog", name="Move the opening")
    at = await page.page.evaluate(
        "s => new Date(Date.now() + s * 1000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 19)",
        seconds,
    )
    await dialog.get_by_label("It opens at").fill(at)
    await dialog.get_by_role("button", name="Move").click()
    await expect(dialog).to_be_hidden()


async def test_sign_in_prebook_move_count_down_fire_and_see_how_it_went(page: Watched) -> None:
    opens_at = page.put_up(opens_in=SOON)
    await page.sign_in()
    await expect(page.row().locator(".opens")).to_contain_text("opens")
    card = await page.prebook()
    await expect(card.locator(".status")).to_have_text("waiting")
    await expect(card).to_contain_text(f"{opens_at:%H:%M}:00")
    await expect(page.row().locator(".status")).to_have_text("prebooked")
    row = (await page.world.http.get("/prebookings", headers=page.world.speaking_for(ANA))).json()["prebookings"][0]
    assert datetime.fromisoformat(row["available_at"]) == opens_at

    await move(page, 3)
    countdown = page.page.locator("#countdown")
    await expect(countdown).to_have_text(re.compile(r"^[0-3]\.\d$"))
    await expect(card.locator(".status")).to_have_text("booked")
    await expect(card).to_contain_text("You are booked. The request left")
    await expect(page.page.locator("#next-title")).to_have_text("You are booked.")
    await expect(countdown).to_have_text(re.compile(r"^\d[\d.]* ms$"))

    drawn = card.get_by_role("img", name=re.compile("^After the opening: delivered −.* fired \\+.* answered \\+"))
    await expect(drawn).to_be_visible()
    for step in ("delivered", "claimed", "ready", "fired", "answered", "opening"):
        await expect(card.locator(".steps dt", has_text=re.compile(f"^{step}$"))).to_be_visible()
    await expect(
        page.page.get_by_role("img", name=re.compile("^Today one request left .* ms after the opening"))
    ).to_be_visible()
    assert page.world.bookings(ANA) == 1


async def test_the_timeline_is_to_scale(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    await move(page, 3)
    await expect(card.locator(".status")).to_have_text("booked")
    row = (await page.world.http.get("/prebookings", headers=page.world.speaking_for(ANA))).json()["prebookings"][0]
    timings = row["result"]["timings"]
    x = {
        name: float(await card.locator(f"circle.{name}").first.get_attribute("cx") or "nan")
        for name in ("delivered", "ready", "opening", "fired", "answered")
    }
    seen = await page.page.evaluate(
        "t => [t.delivered_at, t.ready_at, t.answered_at, t.opening].map(Date.parse)",
        timings | {"opening": row["available_at"]},
    )
    delivered, ready, answered, opening = seen
    above = (x["opening"] - x["ready"]) / (x["opening"] - x["delivered"])
    assert abs(above - (opening - ready) / (opening - delivered)) < 0.01
    below = (x["answered"] - x["fired"]) / (x["answered"] - 14)
    assert abs(below - (answered - opening - timings["fire_lateness_ms"]) / (answered - opening)) < 0.1


async def test_what_happened_is_told_by_keyboard_and_stays_open_while_more_happens(page: Watched) -> None:
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    summary = card.locator(".what > summary")
    await expect(summary).to_have_text("What happened with WOD")
    assert not [url for url in asked if url.endswith("/history")]
    await summary.focus()
    await page.page.keyboard.press("Enter")
    events = card.get_by_role("list").locator("li")
    await expect(events.first).to_contain_text("You asked for it.")
    await expect(events.first.locator("time")).to_have_text(re.compile(r", \d\d:\d\d:\d\d\.\d{3}$"))
    await expect(page.page.locator("#said")).to_have_text(re.compile(r"^WOD: (one thing|2 things) happened\.$"))
    assert [url for url in asked if url.endswith("/history")]

    await card.get_by_role("button", name="Cancel").click()
    await expect(events.last).to_contain_text("Cancelled.")
    await expect(card.get_by_role("list")).to_have_count(1)
    await summary.focus()
    await page.page.keyboard.press("Space")
    await expect(events.first).to_be_hidden()


async def test_what_happened_stays_open_though_more_happens_before_it_is_there(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    slow = Fault(kind="delay", function="read_history", seconds=2, times=1)
    page.world.gateway.faults.set(slow)
    await card.get_by_text("What happened").click()
    await until(lambda: page.world.gateway.faults.active[0].times == 0)
    await page.world.database.execute(
        'update public.prebookings set booking_data = booking_data || \'{"boxName": "A"}\''
    )
    await expect(card.locator(".place")).to_contain_text("· A")
    await expect(card.locator(".events li").first).to_contain_text("You asked for it.")


async def test_what_happened_has_the_milliseconds_of_a_booking(page: Watched) -> None:
    page.put_up(opens_in=PAST)
    await page.sign_in()
    card = await page.prebook()
    await expect(card.locator(".status")).to_have_text("booked")
    await card.get_by_text("What happened").click()
    await expect(card.locator(".events li").last).to_have_text(
        re.compile(r"Ended: booked\. [\d.]+ m?s after the attempt began, replica [0-9a-f]{6}$")
    )


async def test_a_history_that_can_not_be_had_says_so_and_can_be_asked_for_again(page: Watched) -> None:
    page.expected.append("503")
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    page.world.gateway.faults.set(Fault(kind="unavailable", function="read_history", times=None))
    await card.get_by_text("What happened").click()
    await expect(card.get_by_role("alert")).to_be_visible()
    page.world.gateway.faults.set()
    for _ in range(2):
        await card.get_by_text("What happened").click()
    await expect(card.locator(".events li").first).to_contain_text("You asked for it.")
    await expect(card.get_by_role("alert")).to_be_hidden()


async def test_cancelling_says_so_and_books_nothing(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    await card.get_by_role("button", name="Cancel").click()
    await expect(card.locator(".status")).to_have_text("cancelled")
    await expect(page.page.locator("#next-title")).to_have_text("Nothing is waiting")
    await expect(page.row().get_by_role("button", name="Prebook")).to_be_visible()
    assert page.world.booking_requests() == 0


async def test_one_that_failed_says_why_and_can_be_tried_again(page: Watched) -> None:
    page.put_up(opens_in=PAST, capacity=5, others=5)
    await page.sign_in()
    card = await page.prebook()
    await expect(card.locator(".status")).to_have_text("not booked")
    await expect(card).to_contain_text("The class was full.")
    page.put_up(opens_in=PAST, capacity=6, others=5)
    await card.get_by_role("button", name="Try again").click()
    await expect(card.locator(".status")).to_have_text("booked")


async def test_a_dead_session_is_told_and_can_be_replaced(page: Watched) -> None:
    page.expected.append("status of 409")
    page.put_up()
    accounts = page.world.gym.accounts
    accounts.kill(ANA, page.world.gym.site.clock())
    await page.sign_in(listing=False)
    await expect(page.page.get_by_role("alert").filter(has_text="sign in there again")).to_be_visible()
    hint = page.page.locator("#session-hint")
    await expect(hint).to_contain_text("You are not signed in to AimHarder.")

    session = accounts.stored_session(ANA, page.world.gym.site.clock())
    given = {"cookies": session.cookies(), "token": session.token, "fingerprint": session.fingerprint}
    await hint.get_by_role("button", name="Sign in to AimHarder").click()
    dialog = page.page.get_by_role("dialog", name="Sign in to AimHarder")
    await dialog.get_by_text("Paste a session instead").click()
    await dialog.get_by_label("Session, as JSON").fill("{")
    await dialog.get_by_role("button", name="Connect").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("not JSON")
    await dialog.get_by_label("Session, as JSON").fill(json.dumps(given))
    await dialog.get_by_role("button", name="Connect").click()
    await expect(dialog).to_be_hidden()
    await expect(hint).to_be_hidden()
    await page.choose_day()
    await expect(page.row().get_by_role("button", name="Prebook")).to_be_visible()


async def test_a_session_that_dies_before_the_opening_is_the_reason_shown(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    page.world.gym.accounts.kill(ANA, page.world.gym.site.clock())
    await move(page, 2)
    await expect(card.locator(".status")).to_have_text("not booked")
    await expect(card).to_contain_text("Your AimHarder session has ended: sign in again, then retry.")


async def test_without_qstash_it_is_prebooked_and_fires_all_the_same(page: Watched) -> None:
    page.world.qstash.qstash.faults.change({"api_refused": {"value": True}})
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    await expect(card).to_contain_text("the service watches the clock itself")
    await move(page, 3)
    await expect(card.locator(".status")).to_have_text("booked")


async def test_two_tabs_show_the_same_and_sign_out_together(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    other = await page.page.context.new_page()
    page.watch(other)
    await other.goto(page.world.url)
    await expect(other.locator("#live-word")).to_have_text("Live")
    card = await page.prebook()
    twin = other.locator(".cards > li")
    await expect(twin.locator(".status")).to_have_text("waiting")
    await twin.get_by_role("button", name="Cancel").click()
    await expect(card.locator(".status")).to_have_text("cancelled")
    await other.get_by_role("button", name="Sign out").click()
    for tab in (page.page, other):
        await expect(tab.get_by_role("button", name=ANA)).to_be_visible()
        assert await tab.evaluate("localStorage.getItem('prebooking.session')") is None


async def test_a_wrong_password_is_told_and_the_right_one_signs_in(page: Watched) -> None:
    page.expected.append("status of 400")
    await page.page.goto(page.world.url)
    await page.page.get_by_label("E-mail", exact=True).fill(ANA)
    await page.page.get_by_label("Password", exact=True).fill("guessed")
    await page.page.get_by_role("button", name="Sign in").click()
    await expect(page.page.get_by_role("alert")).to_have_text("No account has this e-mail and password.")
    await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.page.get_by_role("button", name="Sign in").click()
    await expect(page.page.locator("#who")).to_have_text(ANA)
    await expect(page.page.get_by_role("alert").first).to_be_hidden()


async def test_after_a_lost_connection_it_catches_up_by_itself(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    card = await page.prebook()
    changes = page.world.services.events
    changes._end_all()
    await page.world.database.execute("update public.prebookings set status = 'cancelled'")
    await expect(card.locator(".status")).to_have_text("cancelled")
    await until(lambda: bool(changes._listeners))


async def test_it_can_be_worked_by_keyboard_alone(page: Watched) -> None:
    opens_at = page.put_up(opens_in=SOON)
    await page.page.goto(page.world.url)
    await expect(page.page.get_by_role("button", name=ANA)).to_be_visible()

    async def tab_to(name: str, of: str = "textContent") -> None:
        for _ in range(40):
            await page.page.keyboard.press("Tab")
            if name in await page.page.evaluate(f"document.activeElement.{of} ?? ''"):
                return
        raise AssertionError(f"no way to {name}")

    await tab_to(ANA)
    await page.page.keyboard.press("Enter")
    await expect(page.page.locator(".days")).to_be_visible()
    await tab_to(f"{opens_at + timedelta(days=4):%Y%m%d}", of="dataset.day")
    await page.page.keyboard.press("Enter")
    await expect(page.row()).to_be_visible()
    await tab_to("Prebook WOD")
    await page.page.keyboard.press("Enter")
    await expect(page.card().locator(".status")).to_have_text("waiting")
    assert await page.page.evaluate("document.activeElement.dataset.class") == "501"
    await page.page.evaluate("document.getElementById('main').focus()")
    await tab_to("Cancel WOD")
    await page.page.keyboard.press("Space")
    await expect(page.card().locator(".status")).to_have_text("cancelled")
    assert "WOD" in await page.page.evaluate("document.activeElement.closest('.card')?.textContent ?? ''")
    await page.page.evaluate("document.getElementById('sign-out').focus()")
    await page.page.keyboard.press("Enter")
    await expect(page.page.get_by_role("button", name=ANA)).to_be_visible()
    assert await page.page.evaluate("document.activeElement.id") == "main"


async def test_what_happens_is_said_aloud_once(page: Watched) -> None:
    page.put_up(opens_in=PAST)
    await page.sign_in()
    await page.prebook()
    await expect(page.page.get_by_role("status").and_(page.page.locator("#said"))).to_have_text(
        "WOD: booked. You are booked."
    )


async def test_whoever_works_on_a_card_stays_there_when_the_others_move(page: Watched) -> None:
    page.put_up(opens_in=timedelta(hours=2))
    await page.sign_in()
    card = await page.prebook()
    first = await page.world.prebook(ANA, datetime.now(UTC) + SOON, id=777)
    await expect(page.page.locator(".cards > li")).to_have_count(2)
    await card.get_by_role("button", name="Cancel").focus()
    await page.world.database.execute("update public.prebookings set status = 'cancelled' where id = $1", first["id"])
    await expect(page.page.locator(".cards > li").first).to_contain_text("WOD")
    assert await page.page.evaluate("document.activeElement.textContent") == "Cancel WOD"


async def test_a_gym_that_opens_on_the_day_itself_is_asked_by_that_rule(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    await page.page.locator("#rule-said").click()
    form = page.page.locator("#rule-form")
    await form.locator("[name=before]").fill("0")
    async with page.page.expect_request(re.compile("days_before=0")):
        await form.get_by_role("button").click()
    await expect(page.page.locator("#rule-said")).to_contain_text("Opens 0 days before")


async def test_an_answer_that_got_lost_is_asked_for_again_and_done_once(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    page.expected.append("503")
    await page.sign_in()
    page.world.gateway.faults.set(Fault(kind="lose_answer", function="create_prebooking", times=3))
    await page.prebook()
    rows = (await page.world.http.get("/prebookings", headers=page.world.speaking_for(ANA))).json()["prebookings"]
    assert len(rows) == 1


async def test_nothing_of_who_signed_out_is_left_to_see(page: Watched) -> None:
    page.put_up(opens_in=SOON)
    await page.sign_in()
    await page.prebook()
    await page.page.evaluate("document.getElementById('gym-sign-in').showModal()")
    kept = [page.page.locator(f"#gym-sign-in [name={name}]") for name in ("session", "password")]
    for field in kept:
        await field.evaluate("(field, secret) => { field.value = secret; }", "secret")
    await page.page.keyboard.press("Escape")
    for field in kept:
        await expect(field).to_have_value("")
    await page.page.locator("#sign-out").click()
    await expect(page.page.locator("#gym option")).to_have_count(0)
    await expect(page.page.locator(".classes > li")).to_have_count(0)
