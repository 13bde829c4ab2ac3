"""More at once than can be made ready: the others wait, and what is ready holds nobody up."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.support.executions import ANA, LISTING, deliver, delivered, until
from tests.support.world import World

from prebooking.concurrency.fair_semaphore import FairSemaphore

BEA = "bea@example.com"


def limit(world: World, permits: FairSemaphore) -> None:
    pipeline = world.services.executor._pipeline
    pipeline._shared = replace(pipeline._shared, permits=permits)


async def test_who_finds_no_permit_in_time_is_sent_away_and_it_is_no_attempt(brief: World) -> None:
    permits = FairSemaphore(1)
    limit(brief, permits)
    permit = await permits.acquire(within_s=1)
    await brief.member(ANA)
    row = await brief.prebook(ANA, brief.open_class())
    answered = await delivered(brief, row)
    assert (answered.status, answered.outcome) == (503, "retry-later")
    assert answered.retry_after in (1, 2)
    untouched = await brief.read(ANA, row["id"])
    assert (untouched["status"], untouched["attempts"]) == ("pending", 0)
    permit.release()
    await brief.database.execute("update public.prebookings set retry_at = null")
    assert (await deliver(brief, row["id"])).outcome == "booked"


async def test_who_waits_for_the_opening_holds_no_permit(sweepless: World) -> None:
    limit(sweepless, FairSemaphore(1))
    opens_at = sweepless.open_class(2.5, capacity=5)
    for email in (ANA, BEA):
        await sweepless.member(email)
    rows = [await sweepless.prebook(email, opens_at) for email in (ANA, BEA)]
    await until(lambda: len(sweepless.gym.ledger.of(LISTING)) == len(rows))
    assert datetime.now(UTC) < opens_at  # both are ready, and wait
    assert {(await delivered(sweepless, row)).outcome for row in rows} == {"booked"}


async def test_a_permit_is_given_back_however_an_execution_ends(sweepless: World) -> None:
    limit(sweepless, FairSemaphore(1))
    await sweepless.member(ANA)
    row = await sweepless.prebook(ANA, sweepless.open_class())
    for _ in range(3):
        await deliver(sweepless, row["id"])  # held by QStash's own delivery, booked, or already finished
    assert (await sweepless.finished(ANA, row["id"]))["status"] == "completed"
