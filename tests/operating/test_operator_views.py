"""`prebooking status` and `prebooking dlq`: what waits, what was, and what QStash gave up on."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from tests.operating.examined_service import ExaminedService
from tests.operating.test_doctor import somebody_else
from tests.support.executions import ANA

from prebooking.adapters.qstash.account import DeadLetter, open_account
from prebooking.adapters.supabase.rpc import open_rpc
from prebooking.domain.history import HistoryEvent
from prebooking.domain.series import WeeklyClass
from prebooking.operator import dlq, history, report, status
from prebooking.operator.check_context import CheckContext
from prebooking.operator.commands import _print_json as print_json
from prebooking.operator.commands import dlq as dlq_command
from prebooking.operator.commands import doctor as doctor_command
from prebooking.operator.commands import status as status_command
from prebooking.operator.findings import Finding
from prebooking.operator.row_checks import check_rows
from prebooking.operator.rows_table import humanize

WIDE = 160
WEEKLY = WeeklyClass(
    box_subdomain="mygym",
    box_aimharder_id="7",
    weekdays=(1,),
    starts="07:00",
    days_before=4,
    time_zone="Europe/Madrid",
    first_day="20990101",
)


def console() -> Console:
    return Console(record=True, width=WIDE)


async def test_status_shows_the_next_openings_and_the_last_results(examined: ExaminedService) -> None:
    world = examined.world
    done = await world.prebook(ANA, world.open_class(), activityName="[b]WOD[/b]")
    await world.finished(ANA, done["id"])
    await world.prebook(ANA, world.open_class(3 * 3600 + 60, class_id=2), id=2, activityName="Yoga")
    seen = await status.ask(examined.settings(), 10)
    out = console()
    status.show(seen, out)
    told = out.export_text()
    (ahead,) = [line for line in told.splitlines() if "Yoga" in line]
    (behind,) = [line for line in told.splitlines() if "WOD" in line]
    assert "3 h" in ahead
    assert ahead.rstrip().endswith("scheduled")
    assert "booked" in behind
    assert "[b]WOD[/b]" in behind
    assert " ms" in behind
    as_json = status.as_json(seen)
    assert json.loads(json.dumps(as_json))["counts"] == {"completed": 1, "pending": 1}
    assert as_json["last"][0]["id"] == done["id"]


async def test_status_counts_the_series(examined: ExaminedService) -> None:
    world = examined.world
    out = console()
    status.show(await status.ask(examined.settings(), 10), out)
    assert "series" not in out.export_text()
    await world.services.store.create_series(uuid4(), ANA, WEEKLY, most=20)
    seen = await status.ask(examined.settings(), 10)
    status.show(seen, out)
    assert "1 series" in out.export_text()
    assert status.as_json(seen)["series"] == 1


async def test_doctor_finds_series_that_nobody_fills(examined: ExaminedService) -> None:
    world = examined.world
    await world.services.store.create_series(uuid4(), ANA, WEEKLY, most=20)
    for minutes, found in ((4, []), (6, ["series"])):
        await world.database.execute(
            "update public.prebooking_series set look_at = now() - make_interval(mins => $1)", minutes
        )
        seen = await status.ask(examined.settings(), 10)
        async with AsyncExitStack() as stack:
            case = CheckContext(settings=examined.settings(), within_s=1, stack=stack, inspection=seen)
            findings = await check_rows(case)
        assert [one.check for one in findings if one.check == "series"] == found


async def test_doctor_notes_an_opening_that_more_wait_for_than_are_ready_in_time(examined: ExaminedService) -> None:
    world = examined.world
    opening = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    await world.database.execute(
        "insert into public.prebookings (user_email, booking_data, available_at, status)"
        " select 'm' || n, jsonb_build_object('id', n), $1::timestamptz - interval '1 hour' * (n % 2), 'pending'"
        " from generate_series(1, 500) n",
        opening,
    )
    for more, noted in ((50, []), (10, ["crowd"])):  # 300 and 310 at one instant
        await world.database.execute(
            "insert into public.prebookings (user_email, booking_data, available_at, status)"
            " select 'n' || $2::int || n, jsonb_build_object('id', n), $1, 'pending'"
            " from generate_series(1, $2::int) n",
            opening,
            more,
        )
        findings = await row_findings(examined)
        assert [one.check for one in findings if one.check == "crowd"] == noted
    (crowd,) = [one for one in findings if one.check == "crowd"]
    assert crowd.message.startswith(f"310 wait for the opening of {opening:%Y-%m-%d %H:%M:%S} UTC")


async def row_findings(examined: ExaminedService) -> list[Finding]:
    seen = await status.ask(examined.settings(), 10)
    async with AsyncExitStack() as stack:
        return await check_rows(CheckContext(settings=examined.settings(), within_s=1, stack=stack, inspection=seen))


async def test_show_tells_what_happened_in_the_local_time_with_milliseconds(examined: ExaminedService) -> None:
    world = examined.world
    row = await world.prebook(ANA, world.open_class(), activityName="[b]WOD\x1b[2J[/b]")
    await world.finished(ANA, row["id"])
    seen = await history.ask(examined.settings(), UUID(row["id"]))
    assert seen
    out = console()
    history.show(seen, out, ZoneInfo("Asia/Kathmandu"))
    head, opens, _, *told = out.export_text().splitlines()

    assert head.startswith("[b]WOD\\x1b[2J[/b], ")
    assert head.endswith(f"{ANA}: completed")
    assert opens.endswith(" +0545")
    (ended,) = [line for line in told if "Ended: You are booked. (" in line]
    at = datetime.fromisoformat(seen.as_json()["events"][-1]["at"]).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert ended.startswith(f"{at:%a %d %b %H:%M:%S}.{at.microsecond // 1000:03d}")
    assert re.search(r"\(\d+ ms after the claim, replica [0-9a-f]{6}\)$", ended.rstrip())
    assert "Created." in told[0]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {"event": "released", "reason": "gym_unreachable", "took_ms": 12.6},
            "tried again: The gym could not be reached. (13 ms",
        ),
        ({"event": "released"}, "Not booked, to be tried again:"),
        ({"event": "settled", "reason": "absent"}, "it is not booked."),
        ({"event": "rescheduled", "reason": "2099-03-04T08:00:00+00:00"}, "it opens Wed 04 Mar 13:45:00."),
        ({"event": "delivery_failed", "message_id": "m{x}", "reason": "HTTP 500"}, "the message m{x}: HTTP 500."),
        ({"event": "of_tomorrow"}, "of_tomorrow"),
    ],
)
def test_each_event_is_told_in_words(event: dict[str, Any], told: str) -> None:
    heard = HistoryEvent(at=datetime.now(UTC), **event)
    assert told in history._describe(heard, ZoneInfo("Asia/Kathmandu"))


async def test_show_of_what_is_not_there_fails(examined: ExaminedService) -> None:
    assert await history.ask(examined.settings(), uuid4()) is None


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (-60, "−60 s")]
)
def test_distances_are_told_in_the_unit_that_tells_them_well(seconds: int, told: str) -> None:
    from datetime import timedelta

    assert humanize(timedelta(seconds=seconds)) == told


async def looked(
    examined: ExaminedService, *, redrive: bool = False, clear: bool = False
) -> tuple[list[dlq.DeadLetterCase], int, int]:
    settings = examined.settings()
    key = settings.supabase_secret_key.get_secret_value()
    async with (
        open_rpc(settings.supabase_url, key, "dlq") as rpc,
        open_account(settings.qstash_url, settings.qstash_token.get_secret_value()) as account,
    ):
        cases = await dlq.read(account, rpc, settings)
        again = await dlq.redrive(cases, account, rpc) if redrive else 0
        return cases, again, await dlq.clear(cases, account) if clear else 0


async def message_fails(examined: ExaminedService, row: dict[str, Any]) -> None:
    """Waits until the message, which comes hours early and is refused like its failure callback, is a dead letter."""
    letters = examined.world.qstash.qstash.broker.dead_letters
    async with asyncio.timeout(60):
        while not any(row["id"] in letter.message.order.body.decode() for letter in letters.newest_first()):
            await asyncio.sleep(0.02)


async def test_a_dead_letter_of_a_waiting_row_is_ordered_anew_for_its_opening(examined: ExaminedService) -> None:
    world = examined.world
    world.qstash.qstash.faults.change(
        {"shift_s": {"value": -20_000, "next": 1}, "signing_key": {"value": "x" * 32, "next": 6}}
    )
    row = await world.prebook(ANA, world.open_class(18_000), id=2)
    await message_fails(examined, row)
    cases, *_ = await looked(examined)
    (case,) = [one for one in cases if one.prebooking and str(one.prebooking.id) == row["id"]]
    assert (case.about, case.worth_it, case.letter.status) == ("a pending prebooking", True, 401)
    assert case.letter.by_us is True

    await world.database.execute("update public.prebookings set armed_at = armed_at - interval '1 minute'")
    _, again, _ = await looked(examined, redrive=True)
    assert again == 1
    async with asyncio.timeout(60):
        while len(world.messages(row["id"])) < 2:
            await asyncio.sleep(0.05)
    assert (await looked(examined))[0] == []


async def test_what_has_ended_is_not_worth_it_and_can_be_cleared(examined: ExaminedService) -> None:
    world = examined.world
    world.qstash.qstash.faults.change(
        {"shift_s": {"value": -20_000, "next": 1}, "signing_key": {"value": "x" * 32, "next": 6}}
    )
    row = await world.prebook(ANA, world.open_class(18_000), id=2)
    await message_fails(examined, row)
    await world.http.delete(f"/prebookings/{row['id']}", headers=world.speaking_for(ANA))
    cases, again, cleared = await looked(examined, redrive=True, clear=True)
    assert ([case.worth_it for case in cases], again, cleared) == ([False], 0, 1)
    assert (await looked(examined))[0] == []


async def test_what_rang_at_a_former_address_is_ours_and_whose_answer_it_got_is_told(examined: ExaminedService) -> None:
    world = examined.world
    row = await world.prebook(ANA, world.open_class(18_000), id=2)
    client = world.services.scheduler._messages._client  # type: ignore[attr-defined]  # the adapter's
    async with somebody_else(401, "<html>Log in\x1b[2J</html>") as former:
        await client.message.publish_json(
            url=f"{former}/qstash/prebooking-execute", body={"prebooking_id": row["id"], "version": 1}, retries=0
        )
        async with asyncio.timeout(60):
            while not (cases := (await looked(examined))[0]):
                await asyncio.sleep(0.05)
    (case,) = cases
    assert (case.letter.status, case.letter.by_us, case.worth_it) == (401, False, True)
    assert case.as_json()["answered_by_us"] is False
    out = console()
    dlq.show(cases, out)
    assert "HTTP 401, not from this service: <html>Log in\\x1b[2J</html>" in out.export_text()


async def test_a_dead_notice_is_told_anew(examined: ExaminedService) -> None:
    world = examined.world
    client = world.services.scheduler._messages._client  # type: ignore[attr-defined]  # the adapter's
    answer = await client.message.publish(
        url="http://127.0.0.1:1/hook", body=b"{}", label="prebooking-notice", retries=0
    )
    await world.database.execute(
        "insert into prebooking.notices (key, kind, prebooking, created_at, try_after, told_at, message_id)"
        " values ('1', 'booked', '{}', now(), now(), now(), $1)",
        answer.message_id,
    )
    async with asyncio.timeout(60):
        while not (await looked(examined))[0]:
            await asyncio.sleep(0.05)
    (case,), again, _ = await looked(examined, redrive=True)
    assert (case.about, again) == ("a notice", 1)
    assert await world.database.fetchval("select told_at is null from prebooking.notices")


async def test_the_letters_of_other_services_are_none_of_ours(examined: ExaminedService) -> None:
    client = examined.world.services.scheduler._messages._client  # type: ignore[attr-defined]
    await client.message.publish_json(url="http://127.0.0.1:1/elsewhere", body={}, retries=0)
    letters = examined.world.qstash.qstash.broker.dead_letters
    async with asyncio.timeout(60):
        while not letters.newest_first():
            await asyncio.sleep(0.02)
    assert (await looked(examined))[0] == []


async def test_the_commands_speak_to_people_and_to_machines(
    examined: ExaminedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = examined.settings()
    monkeypatch.setattr("prebooking.operator.commands.read_or_report", lambda: settings)
    for command in (
        lambda out, as_json: doctor_command(out, as_json=as_json, within_s=5),
        lambda out, as_json: status_command(out, settings, as_json=as_json, limit=3),
        lambda out, as_json: dlq_command(out, settings, as_json=as_json, redrive=False, clear=False),
    ):
        people, machines = console(), console()
        assert await asyncio.to_thread(command, people, False) == 0
        assert await asyncio.to_thread(command, machines, True) == 0
        assert people.export_text().strip()
        assert isinstance(json.loads(machines.export_text()), dict)


HOSTILE = "\x1b[2J\x1b]0;owned\x07WOD\r\n[red]\u202egnp\u2028\x9b31m"
HARMLESS = "\\x1b[2J\\x1b]0;owned\\x07WOD"


async def test_a_terminal_obeys_nothing_that_outsiders_wrote(examined: ExaminedService) -> None:
    """The gym's words, a class's name, an e-mail, a box: by their own hand, or the web application's."""
    world = examined.world
    await world.prebook(ANA, world.open_class(3 * 3600, class_id=2), id=2)
    ended = await world.prebook(ANA, world.open_class())
    await world.finished(ANA, ended["id"])
    await world.database.execute(
        "update public.prebookings set user_email = $1, box_subdomain = $1,"
        " booking_data = booking_data || jsonb_build_object('activityName', $1::text, 'day', $1::text),"
        " warning = jsonb_build_object('code', $1::text, 'message', $1::text),"
        " error_message = $1, result = jsonb_build_object('outcome', $1::text, 'message', $1::text,"
        " 'timings', jsonb_build_object('fire_lateness_ms', $1::text)),"
        " qstash_schedule_id = 'msg_1', message_address = 'http://x/' || $1",
        HOSTILE,
    )
    letter = DeadLetter(
        id="1", message_id="1", url=HOSTILE, body="", label="", created_at=datetime.now(UTC), status=500, said=HOSTILE
    )
    seen = await status.ask(examined.settings(), 10)
    out = console()
    status.show(seen, out)
    dlq.show([dlq.DeadLetterCase(letter, HOSTILE, worth_it=False)], out)
    report.show(await examined.findings(), out)
    told = out.export_text()
    assert told.count(HARMLESS) >= 4
    assert not set(told) & set("\x1b\x07\r\u202e\u2028\x9b")
    machines = console()
    print_json(machines, status.as_json(seen))
    printed = machines.export_text()
    assert printed.isascii()
    assert json.loads(printed)["next"][0]["user_email"] == HOSTILE
