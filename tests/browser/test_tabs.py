"""Many tabs of one browser: one of them reads the stream, the others hear from it."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import Locator, Page, Request, expect
from tests.browser.page_checks import ANA, Watched

_TABS = 10
_BECOME = """state => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


class Streams:
    """The event streams that a page's browser has open."""

    def __init__(self, page: Watched) -> None:
        self._tabs: list[Page] = []
        context = page.page.context
        context.on("request", self._opened)
        context.on("requestfinished", self._ended)
        context.on("requestfailed", self._ended)

    @property
    def of(self) -> list[Page]:
        """The tab of each."""
        return [tab for tab in self._tabs if not tab.is_closed()]

    def _opened(self, request: Request) -> None:
        if request.url.endswith("/prebookings/events"):
            self._tabs.append(request.frame.page)

    def _ended(self, request: Request) -> None:
        if request.url.endswith("/prebookings/events"):
            self._tabs.remove(request.frame.page)


async def another(page: Watched) -> Page:
    tab = await page.page.context.new_page()
    page.watch(tab)
    await tab.goto(page.world.url)
    await expect(tab.locator("#live-word")).to_have_text("Live")
    return tab


async def become(tab: Page, state: str) -> None:
    """A headless browser calls each of its tabs visible."""
    await tab.evaluate(_BECOME, state)


def status(tab: Page) -> Locator:
    return tab.locator(".cards > li .status").first


async def prebook_elsewhere(page: Watched) -> str:
    """As on the member's phone. Returns the row's id."""
    row = await page.world.prebook(ANA, datetime.now(UTC) + timedelta(hours=1))
    return str(row["id"])


async def cancel_elsewhere(page: Watched, row_id: str) -> None:
    await page.world.http.delete(f"/prebookings/{row_id}", headers=page.world.speaking_for(ANA))


async def test_with_ten_tabs_open_a_button_works_and_each_tab_tells_the_news(page: Watched) -> None:
    streams = Streams(page)
    page.put_up()
    await page.sign_in()
    tabs = [page.page, *[await another(page) for _ in range(_TABS - 1)]]
    await page.prebook()
    for tab in tabs:
        await expect(status(tab)).to_have_text("waiting")
    await tabs[-1].locator(".cards").get_by_role("button", name="Cancel").click()
    for tab in tabs:
        await expect(status(tab)).to_have_text("cancelled")
    assert streams.of == [page.page]


async def test_when_the_tab_that_reads_is_closed_or_hidden_another_goes_on_and_misses_nothing(page: Watched) -> None:
    streams = Streams(page)
    await page.sign_in(listing=False)
    second, third = await another(page), await another(page)
    row = await prebook_elsewhere(page)
    await expect(status(second)).to_have_text("waiting")
    await page.page.close()
    page.page = second
    await cancel_elsewhere(page, row)
    for tab in (second, third):
        await expect(status(tab)).to_have_text("cancelled")
    assert streams.of == [second]
    await become(second, "hidden")
    await prebook_elsewhere(page)
    await expect(status(third)).to_have_text("waiting")
    assert streams.of == [third]


async def test_a_hidden_tab_keeps_no_stream_and_is_up_to_date_once_it_is_seen_again(page: Watched) -> None:
    streams = Streams(page)
    await page.sign_in(listing=False)
    second = await another(page)
    row = await prebook_elsewhere(page)
    for tab in (page.page, second):
        await expect(status(tab)).to_have_text("waiting")
        await become(tab, "hidden")
    await expect(second.locator("#live-word")).to_have_text("Reconnecting")
    assert streams.of == []
    await cancel_elsewhere(page, row)
    for tab in (second, page.page):  # the one that reads, and then the one that hears
        await become(tab, "visible")
        await expect(status(tab)).to_have_text("cancelled")
        await expect(tab.locator("#live-word")).to_have_text("Live")
    assert streams.of == [second]
