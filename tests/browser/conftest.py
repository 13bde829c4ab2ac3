"""A real browser before the service; each test's page has to stay silent, light and among ourselves."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, async_playwright, expect
from tests.browser.page_checks import ANA, Watched
from tests.support.world import PASSWORD, Outside, World, open_world

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
_WITHIN_MS = 60_000  # of a starved machine: what a test waits for is there in a moment, or never
expect.set_options(timeout=_WITHIN_MS)
SCREENSHOTS = Path(__file__).parent / "screenshots"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium`, and the page is tested too")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield running
        await running.close()


@pytest.fixture
async def shown(
    database: asyncpg.Connection,
    outside: Outside,
    request: pytest.FixtureRequest,
) -> AsyncIterator[World]:
    """The service with its page, and Ana's session at her gym. Its parameter: more settings."""
    settings: dict[str, Any] = {
        "console": True,
        "supabase_publishable_key": outside[0].publishable_key,
        "console_members": f"{ANA}:{PASSWORD}",
    } | getattr(request, "param", {})
    async with open_world(database, *outside, sweep_seconds=1, **settings) as world:
        await world.member(ANA)
        yield world


@pytest.fixture
async def page(browser: Browser, shown: World, request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    """A page of a desktop's size; a screenshot of its end is kept beside the tests."""
    SCREENSHOTS.mkdir(exist_ok=True)
    options = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", "timezone_id": "Europe/Madrid"}
    context = await browser.new_context(**options | getattr(request, "param", {}))
    context.set_default_timeout(_WITHIN_MS)
    watched = Watched(await context.new_page(), shown)
    try:
        yield watched
        await watched.page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png", full_page=True)
        watched.check()
    finally:
        await context.close()
