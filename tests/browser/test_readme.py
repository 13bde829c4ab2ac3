"""What the API's README shows to frontends works as it stands there: `fetch` in a real browser, curl in a shell."""

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.browser.page_checks import ANA, Watched
from tests.support.world import World

README = (Path(__file__).parents[2] / "src/prebooking/web/README.md").read_text(encoding="utf-8")
SECTION = README.partition("## For frontends")[2].partition("\n## ")[0]
DAY = f"{datetime.now(UTC) + timedelta(days=200):%Y%m%d}"


def shown(language: str) -> str:
    """The one block of that language in the section."""
    [block] = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return str(block)


def put_up(world: World) -> None:
    world.open_class(class_id=501, day=DAY, time="08:00 - 09:00")


async def test_the_whole_flow_in_fetch(page: Watched) -> None:
    put_up(page.world)
    await page.page.goto(page.world.url)
    flow = f"async ({{ service, token, day }}) => {{ {shown('js')}\nreturn {{ created, news, cancelled }}; }}"
    given = {"service": page.world.url, "token": page.world.gateway.auth.access_token(ANA), "day": DAY}
    told = await page.page.evaluate(flow, given)
    row = await page.world.read(ANA, told["created"]["id"])
    assert told["created"]["status"] == "pending"
    assert told["news"]["event"] == "prebooking"
    assert told["news"]["prebooking"]["id"] == row["id"]
    assert told["news"]["id"]
    assert told["cancelled"] == row
    assert row["status"] == "cancelled"


async def test_a_refusal_is_told_in_words(page: Watched) -> None:
    page.expected.append("status of 401")
    await page.page.goto(page.world.url)
    flow = f"async ({{ service, token, day }}) => {{ {shown('js')} }}".replace(
        "const events = follow();", "await api('GET', '/prebookings');"
    )
    given = {"service": page.world.url, "token": "x", "day": DAY}
    with pytest.raises(Exception, match="unauthorized: The access token is not valid for this service"):
        await page.page.evaluate(flow, given)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl on this machine")
async def test_the_whole_flow_in_curl(world: World, tmp_path: Path) -> None:
    await world.member(ANA)
    put_up(world)
    until = "until grep -q '{}' events.txt; do sleep 0.05; done"
    follow, _, rest = shown("sh").partition("killed\n")
    script = "\n".join([follow, until.format("^: "), rest, until.format("cancelled"), "kill $!"])
    environment = {"SERVICE": world.url, "TOKEN": world.gateway.auth.access_token(ANA), "DAY": DAY}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euc", script),
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"} | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    listed, _, cancelled = said.decode().partition("]}")
    assert '"opens_at":"' in listed
    assert '"status":"cancelled"' in cancelled
    assert process.returncode == 0
    events = (tmp_path / "events.txt").read_text()
    assert events.count("event: prebooking\n") >= 1
    assert '"status":"cancelled"' in events
