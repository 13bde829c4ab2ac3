"""The web application's old cron goes on writing beside us: its writes work on our rows, and its word stands."""

from uuid import uuid4

import pytest
from tests.postgres.factories import STATES, prebooking
from tests.postgres.functions import Functions

# What the old cron writes, and how it guards it. It reads a row as pending long before it writes, so that in
# some of its versions nothing but the id stands in between.
GUARDS = {"guarded": "and status in ('pending', 'loaded')", "by id alone": ""}
WRITES = {
    "completed": "status = 'completed', result = '{\"success\": true}', executed_at = now()",
    "failed": "status = 'failed', error_message = 'No', result = '{\"success\": false}', executed_at = now()",
    "executing": "status = 'executing'",
    "loaded": "status = 'loaded', loaded_at = now()",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("write", WRITES)
async def test_the_old_crons_guarded_writes_still_work_on_our_rows_in_every_state(
    web: Functions, write: str, state: str
) -> None:
    row = await prebooking(web, **STATES[state](uuid4()))
    before = await web.row(row)

    await web.connection.execute(
        f"update public.prebookings set {WRITES[write]} where id = $1 {GUARDS['guarded']}", row
    )

    after = await web.row(row)
    assert after["status"] == (write if before["status"] in ("pending", "loaded") else before["status"])


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("write", ["completed", "failed"])
async def test_the_old_cron_may_finish_by_id_alone_and_our_finish_on_that_row_is_refused(
    web: Functions, write: str, state: str
) -> None:
    token = uuid4()
    row = await prebooking(web, **STATES[state](token))

    await web.connection.execute(f"update public.prebookings set {WRITES[write]} where id = $1", row)

    finished = await web.row(row)
    assert finished["status"] == write
    if state not in ("completed", "failed"):  # which that token finished itself
        assert (await web.finish(row, token))["outcome"] == "lost"
    assert (await web.release(row, token))["outcome"] == "lost"
    assert (await web.park(row, token))["outcome"] == "lost"
    assert (await web.begin(row, token, settled=True))["outcome"] == "lost"
    assert (await web.claim(row, token))["outcome"] == "already_finished"
    assert (await web.cancel(row))["outcome"] == "already_finished"
    assert await web.row(row) == finished


async def test_what_the_old_cron_takes_from_us_counts_as_begun(web: Functions) -> None:
    row = await prebooking(web)
    await web.connection.execute(f"update public.prebookings set {WRITES['executing']} where id = $1", row)

    held = await web.claim(row, uuid4())
    assert (held["outcome"], held["retry_after"]) == ("held", 123)
    assert (await web.cancel(row))["outcome"] == "booking_in_progress"


async def test_a_row_that_the_web_application_deletes_is_unknown_to_us(web: Functions) -> None:
    row = await prebooking(web)
    await web.connection.execute("delete from public.prebookings where id = $1 and status = 'pending'", row)

    assert (await web.claim(row, uuid4()))["outcome"] == "unknown_prebooking"
