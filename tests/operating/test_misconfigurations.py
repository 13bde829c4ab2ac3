"""`prebooking doctor` names the cause of each trouble and its fix, and never ends in a trace."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from rich.console import Console
from tests.operating.examined_service import ExaminedService
from tests.operating.imposter import Imposter, imposter, page
from tests.operating.misconfigurations import MISCONFIGURATIONS, NO_NAME, Wrong
from tests.support.executions import ANA
from tests.support.world import Outside, open_world

from prebooking.operator import doctor, report
from prebooking.operator.commands import doctor as doctor_command
from prebooking.operator.findings import Finding, State
from prebooking.settings import Settings


@dataclass
class Scene:
    """One good stack for all, and a server that takes the place of any part."""

    examined: ExaminedService
    imposter: Imposter
    database: asyncpg.Connection

    def filled(self, value: Any) -> Any:
        world = self.examined.world
        if not isinstance(value, str):
            return value
        for name, url in {
            "https@imposter": self.imposter.url.replace("http:", "https:"),
            "@imposter": self.imposter.url,
            "@gateway": world.gateway.url,
            "@service": world.url,
            "@qstash": world.qstash.url,
            "@gym": world.gym.url,
        }.items():
            value = value.replace(name, url)
        return value

    async def findings(self, wrong: Wrong) -> list[Finding]:
        self.imposter.answers, self.imposter.target = wrong.answers, self.filled(wrong.target)
        if wrong.sql:
            await self.database.execute(wrong.sql)
        settings = {name: self.filled(value) for name, value in wrong.settings.items()}
        return await self.examined.findings(within_s=2.0, **settings)


@pytest.fixture(scope="module")
async def shared(
    migrated: str, outside: Outside
) -> AsyncIterator[tuple[ExaminedService, Imposter, asyncpg.Connection]]:
    database = await asyncpg.connect(migrated)
    await database.execute("truncate public.prebookings, public.auth_sessions, prebooking.notices cascade")
    async with open_world(database, *outside, sweep_seconds=0) as world, imposter() as one:
        world.qstash.qstash.broker.dead_letters._letters.clear()
        yield ExaminedService(world), one, database
    await database.close()


@pytest.fixture
async def scene(shared: tuple[ExaminedService, Imposter, asyncpg.Connection]) -> AsyncIterator[Scene]:
    """A member with a session and a prebooking that waits."""
    examined, one, database = shared
    await examined.world.member(ANA)
    await examined.world.prebook(ANA, datetime.now(UTC) + timedelta(hours=5))
    yield Scene(examined, one, database)
    examined.world.qstash.qstash.broker.dead_letters._letters.clear()
    await database.execute("truncate public.prebookings, public.auth_sessions, prebooking.notices cascade")


def assert_named(findings: list[Finding], wrong: Wrong, scene: Scene) -> None:
    of_check = [one for one in findings if one.check == wrong.check and one.state is wrong.state]
    assert len(of_check) == 1, findings
    assert scene.filled(wrong.told) in of_check[0].message
    assert scene.filled(wrong.fix) in of_check[0].fix
    assert all(one.fix for one in findings if one.state is State.BAD)
    # Nothing else is blamed: what can't be told because of it is not told at all.
    assert {one.check for one in findings if one.state is State.BAD} - {wrong.check} <= _ALONG.get(wrong.check, set())


# What is broken by the same setting.
_ALONG = {"schedule-for-now": {"reach"}, "aimharder": {"login", "box"}}


@pytest.mark.parametrize("name", MISCONFIGURATIONS)
async def test_each_misconfiguration_is_named_with_its_fix(scene: Scene, name: str) -> None:
    wrong = MISCONFIGURATIONS[name]
    assert_named(await scene.findings(wrong), wrong, scene)


async def test_messages_at_an_earlier_address_are_told_before_they_ring(scene: Scene) -> None:
    """And with an address that leads nowhere, that one is blamed: the earlier may be right."""
    moved = Wrong(
        settings={},
        sql="update public.prebookings set message_address = 'http://127.0.0.1:1'",
        check="messages-elsewhere",
    )
    assert_named(await scene.findings(moved), moved, scene)
    lost = Wrong(settings={"public_url": NO_NAME}, check="messages-elsewhere", fix="mend PUBLIC_URL", state=State.NOTE)
    (noted,) = [one for one in await scene.findings(lost) if one.check == "messages-elsewhere"]
    assert (noted.state, "fix PUBLIC_URL first" in noted.fix) == (State.NOTE, True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"supabase_jwt_secret": "x" * 40},
        {"supabase_jwt_issuer": "@gateway/auth/v1"},
        {"frontend_origins": "https://app.example.com"},
        {"legacy_box_subdomain": "mygym", "legacy_box_aimharder_id": "7"},
    ],
)
async def test_a_good_configuration_raises_no_alarm(scene: Scene, settings: Mapping[str, Any]) -> None:
    findings = await scene.findings(Wrong(settings=settings, check=""))
    assert [one for one in findings if one.state is State.BAD] == []
    assert {one.check for one in findings if one.state is State.NOTE} <= {"notices", "reach"}


async def test_who_answers_in_its_place_is_told_without_a_database_too(scene: Scene) -> None:
    settings = {"supabase_url": NO_NAME, "public_url": "@imposter"}
    both = Wrong(settings=settings, answers={"/": page(404)}, check="reach")
    wrong = {one.check for one in await scene.findings(both) if one.state is State.BAD}
    assert wrong == {"database", "reach"}


async def test_a_protected_deployment_is_no_alarm_with_the_header_that_lets_in(scene: Scene) -> None:
    settings = {"supabase_url": NO_NAME, "public_url": "@imposter", "qstash_forward_headers": "x-bypass: letmein"}
    protected = Wrong(settings=settings, answers={"/": page(401)}, target="@service", check="")
    scene.imposter.bypass = "x-bypass"
    try:
        assert {one.check for one in await scene.findings(protected) if one.state is State.BAD} == {"database"}
    finally:
        scene.imposter.bypass = None


# ---- never a trace -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(doctor._CHECKS)))
async def test_a_check_that_breaks_is_a_finding_and_the_others_are_made(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    subject, check, _ = doctor._CHECKS[number]

    async def breaks(_: Any) -> list[Finding]:
        raise RecursionError("\x1b[2Jtoo deep")

    broken = (*doctor._CHECKS[:number], (subject, check, breaks), *doctor._CHECKS[number + 1 :])
    monkeypatch.setattr(doctor, "_CHECKS", broken)
    findings = await scene.findings(Wrong(settings={}, check=check))
    (told,) = [one for one in findings if one.check == check and one.state is State.BAD]
    assert told.message == "could not be examined: RecursionError: \\x1b[2Jtoo deep"
    assert subject in told.fix
    assert "Settings" in {one.subject for one in findings} or number == 0
    assert "Prebookings" in {one.subject for one in findings} or check in ("database", "rows")


@pytest.mark.parametrize(
    "settings",
    [
        {"supabase_url": "http://[::1"},
        {"supabase_url": "http://ex ample"},
        {"supabase_url": "http://exa\nmple"},
        {"supabase_url": "ftp://example.com"},
        {"SUPABASE_SECRET_KEY": "sb_secret_\nof_two_lines"},
        {"SUPABASE_SECRET_KEY": "sb_secret_ñandú"},
        {"SUPABASE_SECRET_KEY": "eyJ..."},
        {"SUPABASE_SECRET_KEY": "eyJhbGciOiJub25lIn0.bnVsbA."},
        {"SUPABASE_SECRET_KEY": ""},
        {"qstash_url": "http://:80"},
        {"qstash_url": "http://[fe80::1%25eth0]"},
        {"qstash_token": "of two\r\nlines"},
        {"qstash_token": "\udce9"},
        {"public_url": "http://\u202eexample.com/\ud800"},
        {"public_url": "http://" + "a" * 300 + ".example.com"},
        {"aimharder_account_url": "http://exa mple.com:99999"},
        {"aimharder_box_url": "http://{box}.{box}."},
        {"aimharder_proxy": "socks5://127.0.0.1:1"},
        {"aimharder_proxy": "http://user:p@ss:word@[::1"},
        {"supabase_jwt_issuer": "\x1b]0;title\x07"},
        {"supabase_jwt_secret": "\x00" * 40},
        {"frontend_origins": ["http://[", "*", ""]},
    ],
    ids=repr,
)
async def test_no_value_of_a_setting_ends_it_in_a_trace(scene: Scene, settings: dict[str, Any]) -> None:
    """Also those that the start refuses today: the settings are made without being looked at."""
    good = scene.examined.settings()
    key = settings.pop("SUPABASE_SECRET_KEY", None)
    changed = {
        name: SecretStr(value) if "token" in name or "secret" in name else value for name, value in settings.items()
    }
    changed |= {} if key is None else {"supabase_secret_key": SecretStr(key)}
    scene.imposter.answers, scene.imposter.target = {}, None
    findings = await doctor.examine(good.model_copy(update=changed), within_s=0.3)
    console = Console(record=True, width=100)
    report.show(findings, console)
    told = console.export_text()
    assert told.isprintable() or not set("\x1b\x07\u202e\ud800") & set(told)
    assert json.dumps([one.as_json() for one in findings])
    assert any(one.state is State.BAD for one in findings) or "supabase_jwt_secret" in settings  # nothing to hold it to


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("content", [b"SUPABASE_URL=\xff\xfe", b"QSTASH_TOKEN='", None])
def test_an_environment_that_cannot_be_read_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, content: bytes | None, *, as_json: bool
) -> None:
    """Of another encoding, unfinished, missing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / ".env").write_bytes(content)
    console = Console(record=True, width=100)
    assert doctor_command(console, as_json=as_json, within_s=1) == 1
    told = console.export_text()
    assert "Settings" in told or json.loads(told)["findings"][0]["subject"] == "Settings"


# ---- what rings elsewhere ----------------------------------------------------------------------------------------


async def test_a_schedule_left_over_at_another_address_is_noted(scene: Scene) -> None:
    client = scene.examined.world.services.scheduler._messages._client  # type: ignore[attr-defined]
    await client.schedule.create(
        destination="http://127.0.0.1:1/qstash/sweep", cron="0 0 1 1 *", schedule_id="of-before"
    )
    try:
        (noted,) = [one for one in await scene.examined.findings() if one.check == "schedule-elsewhere"]
    finally:
        await client.schedule.delete("of-before")
    assert (noted.state, "127.0.0.1:1/qstash/sweep" in noted.message) == (State.NOTE, True)
    assert "delete that schedule" in noted.fix


async def test_dead_letters_of_an_earlier_address_are_seen(scene: Scene) -> None:
    """Where they are about prebookings of this database, and only there."""
    client = scene.examined.world.services.scheduler._messages._client  # type: ignore[attr-defined]
    (ours,) = await scene.database.fetch("select id from public.prebookings")
    for prebooking_id in (ours["id"], "00000000-0000-0000-0000-000000000000"):
        await client.message.publish_json(
            url="http://127.0.0.1:1/qstash/prebooking-execute",
            body={"prebooking_id": str(prebooking_id), "version": 1},
            retries=0,
        )
    letters = scene.examined.world.qstash.qstash.broker.dead_letters
    async with asyncio.timeout(60):
        while len(letters.newest_first()) < 2:
            await asyncio.sleep(0.02)
    (wrong,) = [one for one in await scene.examined.findings() if one.check == "dead-letters"]
    assert wrong.state is State.BAD
    assert "1 messages" in wrong.message
    assert "http://127.0.0.1:1, which is not PUBLIC_URL" in wrong.message
