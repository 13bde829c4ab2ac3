"""A box is a label and never a URL: whatever else is written there, nobody but the configured hosts is connected to."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.connections import Connections, recorded
from tests.support.signing import EXECUTE, body_of, deliver
from tests.support.world import Outside, World, open_world

from prebooking.adapters.aimharder.client import AimHarder as AimHarderAdapter
from prebooking.domain.errors import BoxSilentError
from prebooking.domain.prebooking import NO_BOXES, Box, Session

ANA = "ana@example.com"
SOON = datetime.now(UTC) + timedelta(hours=5)


NAMES = (
    # another host
    *(
        "evil.com",
        "gym.evil.com",
        "evil.com/",
        "http://evil.com",
        "https://evil.com/",
        "//evil.com",
        "ftp://evil",
        "a.b",
    ),
    *(
        "evil.com#",
        "evil.com?",
        "evil.com\\",
        "evil.com:443/",
        "user@evil.com",
        "user:pass@evil",
        "gym@evil",
        "evil:80",
    ),
    *(
        "evil.com%2f",
        "gym%2eevil%2ecom",
        "gym%00",
        "gym%0d%0aHost:%20evil",
        "gym/../..",
        "gym/",
        "/gym",
        "gym?x=1",
        "gym#",
    ),
    *("gym\\", "gym;", "gym,evil", "gym&x", "gym=x", "gym'", 'gym"', "gym`", "gym|x", "gym^", "gym<", "$gym", "gym!"),
    # another header, another request
    *(
        "gym\r\nHost: evil",
        "gym\n",
        "gym\r",
        "gym\t",
        "gym\v",
        "gym\x7f",
        " gym",
        "gym ",
        "g ym",
        "gym\u00a0",
        "gym\u2028",
    ),
    # the template's own marks
    *("{box}", "{0}", "%s", "${box}", "{box}.evil", "*", "**", "~", "."),
    # this machine, its network, its cloud
    *(
        "127.0.0.1",
        "127.1",
        "[::1]",
        "::1",
        "169.254.169.254",
        "0x7f.0.0.1",
        "10.0.0.1",
        "localhost",
        "LocalHost",
        "metadata.google.internal",
    ),
    # no label
    *(
        "",
        "..",
        "...",
        ".gym",
        "gym.",
        "-gym",
        "gym-",
        "-",
        "_gym",
        "g_m",
        "a" * 64,
        "a" * 300,
        "a" * 5000,
        "gym\u200b",
    ),
    # another alphabet, and what looks like ours: Cyrillic, full width, other dots, what can't be seen
    *("ñ", "gÿm", "\u0433ym", "\uff47\uff59\uff4d", "gym\u3002evil", "gym\u2024evil", "gym\uff0eevil", "\u202egym"),
    *("gym\ufeff", "gy\u0301m", "\u2460", "\ufb01t", "xn--gym-abc", "XN--GYM-ABC", "xn--", "\ud800"),
)
NOT_TEXT: tuple[Any, ...] = (7, 7.5, True, None, [], ["mygym"], {}, {"box": "mygym"})


def only_known(seen: Connections) -> bool:
    """Loopback by its literal address: the stand-ins. And no name was looked up."""
    return not seen.elsewhere and set(seen.lookups) <= {"127.0.0.1"}


@pytest.fixture
async def in_the_open(database: asyncpg.Connection, outside: Outside) -> Any:
    """Boxes as in production, under a name of their own: a request that left would look it up."""
    gyms: dict[str, Any] = {
        "aimharder_box_url": "https://{box}.gyms.invalid",
        "aimharder_account_url": "https://gyms.invalid",
    }
    async with open_world(database, *outside, sweep_seconds=0, **gyms) as world:
        yield world


async def test_what_is_no_label_is_refused_by_name_and_nobody_is_connected_to(
    in_the_open: World, subtests: pytest.Subtests
) -> None:
    headers = in_the_open.speaking_for(ANA) | {"Content-Type": "application/json"}
    world, names = in_the_open, (*NAMES, *NOT_TEXT, *sorted(NO_BOXES))
    assert len(names) > 100
    with recorded() as seen:
        for name in names:
            with subtests.test(name=name):
                wish = json.dumps(world.wish(SOON) | {"box_subdomain": name})
                answer = await world.http.post("/prebookings", headers=headers, content=wish)
                assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
                assert [error["field"] for error in answer.json()["errors"]] == ["box_subdomain"]
    assert only_known(seen)
    assert await world.database.fetchval("select count(*) from public.prebookings") == 0


def storable(names: Iterable[str]) -> list[str]:
    """What Postgres takes as text."""
    return [name for name in names if "\0" not in name and "\ud800" not in name]


async def test_a_row_of_the_web_application_that_names_no_label_ends_as_such_and_nobody_is_connected_to(
    in_the_open: World, subtests: pytest.Subtests
) -> None:
    world = in_the_open
    row = await world.prebook(ANA, SOON)
    await world.member(ANA)
    with recorded() as seen:
        for name in storable((*NAMES, "www", "mail", "MyGym")):
            with subtests.test(name=name):
                await world.database.execute(
                    "update public.prebookings set status = 'pending', attempts = 0, box_subdomain = $2,"
                    " available_at = now(), result = null, error_code = null, error_message = null, executed_at = null,"
                    " claim_token = null, lease_until = null, wish_key = null where id = $1",
                    row["id"],
                    name,
                )
                answer = await deliver(world, EXECUTE, body_of(row["id"]))
                assert (answer.status_code, answer.json()["outcome"]) == (200, "box_unknown")
    assert only_known(seen)


async def test_the_recorder_hears_of_a_gym_that_is_one() -> None:
    gyms = AimHarderAdapter("https://{box}.gyms.invalid", "https://gyms.invalid", None, time.time)
    session = Session(id=uuid4(), user_email="a@example.com", token="", stored_token="", cookies=(), fingerprint="")
    with recorded() as seen:
        async with gyms.visit(Box(subdomain="mygym", aimharder_id="7"), session) as gym:
            for question in (gym.whoami(), gym.listing("20261126", "")):
                with pytest.raises(BoxSilentError):
                    await question
    assert seen.lookups == ["gyms.invalid", "mygym.gyms.invalid"]
