"""Figures for Prometheus: true, in the field's names, and nobody's who may not ask."""

import json

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.captured_logs import logged
from tests.support.executions import ANA, deliver, prebook_open_class, sweep
from tests.support.signing import EXECUTE, body_of
from tests.support.signing import deliver as signed
from tests.support.world import SERVICE_KEY, Outside, World, open_world

from prebooking.domain.outcome import Outcome
from prebooking.web.qstash_signature import RejectionReason
from prebooking.web.token_checks import TokenCheck

Figures = dict[tuple[str, str], float]


async def figures(world: World) -> Figures:
    """By name and the value of the one label."""
    answer = await world.http.get("/metrics", headers={"Authorization": f"Bearer {SERVICE_KEY}"})
    assert answer.status_code == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_booking_is_measured(sweepless: World) -> None:
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class(2))
    row = await sweepless.finished(ANA, row["id"])
    late_s = row["result"]["timings"]["fire_lateness_ms"] / 1000
    seen = await figures(sweepless)
    assert seen["prebooking_deliveries_total", "booked"] == 1
    assert seen["prebooking_finished_total", "booked"] == 1
    assert seen["prebooking_fire_lateness_seconds_count", ""] == 1
    assert seen["prebooking_fire_lateness_seconds_sum", ""] == pytest.approx(late_s, abs=2e-6)
    assert seen["prebooking_qstash_lag_seconds_count", ""] == 1
    assert 0 <= seen["prebooking_qstash_lag_seconds_sum", ""] < 2
    assert 0 < seen["prebooking_budget_left_seconds_sum", ""] < 8


async def test_what_alarms_look_at_is_there_before_it_first_happens(sweepless: World) -> None:
    seen = await figures(sweepless)
    labelled = {
        "finished": Outcome,
        "signature_refusals": RejectionReason,
        "token_refusals": TokenCheck,
        "sweeps": ("nothing", "something"),
    }
    for name, labels in labelled.items():
        for label in labels:
            assert seen[f"prebooking_{name}_total", label] == 0


async def test_the_lateness_resolves_a_millisecond(sweepless: World) -> None:
    buckets = [
        float(bound)
        for name, bound in await figures(sweepless)
        if name == "prebooking_fire_lateness_seconds_bucket" and bound != "+Inf"
    ]
    assert [bound for bound in buckets if bound <= 0.003] == [0.0002, 0.0005, 0.001, 0.002, 0.003]


async def test_sweeps_and_what_they_executed_are_counted(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    await prebook_open_class(sweepless)
    await sweep(sweepless)
    await sweepless.database.execute("update public.prebookings set armed_at = now() - interval '11 s'")
    await sweep(sweepless)
    seen = await figures(sweepless)
    assert seen["prebooking_sweeps_total", "nothing"] == seen["prebooking_sweeps_total", "something"] == 1
    assert seen["prebooking_sweep_executions_total", "booked"] == 1
    assert ("prebooking_deliveries_total", "booked") not in seen


async def test_a_row_in_anothers_hands_is_a_conflict(sweepless: World) -> None:
    sweepless.qstash.qstash.faults.change({"lost": True})
    row = await prebook_open_class(sweepless)
    await sweepless.database.execute(
        "update public.prebookings set status = 'executing', claim_token = gen_random_uuid(),"
        " lease_until = now() + interval '1 minute'"
    )
    assert (await deliver(sweepless, row["id"])).outcome == "held"
    assert (await figures(sweepless))["prebooking_claim_conflicts_total", ""] == 1


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"exp": 1}, "expired"),
        ({"nbf": 9_999_999_999}, "not yet valid"),
        ({"key": "x" * 40}, "wrong key"),
        ({"sub": "https://elsewhere.example.com"}, "wrong URL"),
        ({"body": "eA"}, "wrong body"),
        ({"iss": "somebody"}, "wrong issuer"),
    ],
)
async def test_refused_signatures_are_counted_by_reason(
    sweepless: World, changed: dict[str, object], kind: str
) -> None:
    assert (await signed(sweepless, EXECUTE, body_of("x"), **changed)).status_code == 401
    assert (await figures(sweepless))["prebooking_signature_refusals_total", kind] == 1


async def test_a_dead_session_is_counted(sweepless: World) -> None:
    await sweepless.prebook(ANA, sweepless.open_class(1000))
    await sweepless.services.background_tasks.once()
    assert (await figures(sweepless))["prebooking_sessions_dead_total", ""] == 1


async def test_with_a_service_key_only_its_holder_may_ask(
    database: asyncpg.Connection, outside: Outside, sweepless: World
) -> None:
    for token in (b"", b"Bearer wrong", b"Bearer \xc3\xa9"):
        answer = await sweepless.http.get("/metrics", headers={b"Authorization": token})
        assert answer.status_code == 401
    async with open_world(database, *outside, beside=True, sweep_seconds=0, service_api_key=None) as world:
        assert (await world.http.get("/metrics")).status_code == 200


async def test_with_a_key_of_its_own_it_takes_no_other(
    database: asyncpg.Connection, outside: Outside, sweepless: World
) -> None:
    key = "key_of_what_reads_the_figures"
    async with open_world(database, *outside, beside=True, sweep_seconds=0, metrics_key=key) as world:
        for token, status in ((key, 200), (SERVICE_KEY, 401), ("x", 401)):
            answer = await world.http.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status
        as_user = {"Authorization": f"Bearer {key}", "X-User-Email": ANA}
        assert (await world.http.get("/prebookings", headers=as_user)).status_code == 401


async def test_no_figure_tells_whose_it_is(sweepless: World) -> None:
    row = await prebook_open_class(sweepless)
    await sweepless.finished(ANA, row["id"])
    answer = await sweepless.http.get("/metrics", headers={"Authorization": f"Bearer {SERVICE_KEY}"})
    assert ANA not in answer.text
    assert row["id"] not in answer.text


async def test_the_line_of_an_execution_has_all_that_it_is_looked_for_by(sweepless: World) -> None:
    with logged([]) as stream:
        row = await prebook_open_class(sweepless)
        row = await sweepless.finished(ANA, row["id"])
        (message,) = sweepless.messages(row["id"])
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "delivery_answered"]
    assert (line["prebooking_id"], line["message_id"]) == (row["id"], message.id)
    assert (line["attempt"], line["box"], line["outcome"], line["level"]) == (1, "mygym", "booked", "info")
    assert line["request_id"]
