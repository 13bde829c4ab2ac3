"""Scenarios of series: whatever happens, each day that is due has one prebooking, and in the end none waits.

Its class opens in days, so nothing is booked: the member pauses or ends the series, which cancels what waits.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.reliability.faults.environment import Environment
from tests.reliability.faults.fault_injection import FaultInjection

_ONE_EACH = (
    "(select count(*) > 0 and count(*) = count(distinct booking_data ->> 'day') from public.prebookings"
    " where status = 'pending')"
)


def _wanted(environment: Environment) -> dict[str, Any]:
    """It has one due day: it opens in two days, and the next one in nine."""
    day = datetime.now(UTC) + timedelta(days=6)
    return {
        "box_subdomain": environment.box.name,
        "box_aimharder_id": environment.box.number,
        "weekdays": [day.isoweekday()],
        "class": {"starts": "12:00"},
        "opens": {"days_before": 4, "time_zone": "UTC"},
    }


async def _make(environment: Environment) -> str:
    return str((await environment.ask("POST", "/series", _wanted(environment))).json()["id"])


async def _pause(environment: Environment, series_id: str) -> None:
    await environment.until_holds(_ONE_EACH)
    await environment.ask("PATCH", f"/series/{series_id}", {"paused": True})
    environment.cancelled_ns = time.time_ns()


async def make(environment: Environment, fault: FaultInjection) -> None:
    """Sent twice where the day could not be made: that is answered with the series, and the sweep's to do."""
    await fault.arm_twice()
    for _ in range(2 if fault.again else 1):
        series_id = await _make(environment)
    await _pause(environment, series_id)


async def look(environment: Environment, fault: FaultInjection) -> None:
    series_id = await _make(environment)
    await fault.arm_twice()
    listed = (await environment.ask("GET", "/series")).json()["series"]
    assert [series["id"] for series in listed] == [series_id]
    await _pause(environment, series_id)


async def change(environment: Environment, fault: FaultInjection) -> None:
    """To another hour: the day's prebooking is cancelled, and another one made."""
    series_id = await _make(environment)
    await fault.arm_twice()
    await environment.ask("PATCH", f"/series/{series_id}", {"class": {"starts": "13:00"}})
    await environment.until("status = 'pending' and class ->> 'starts' = '13:00'")
    await _pause(environment, series_id)


async def end(environment: Environment, fault: FaultInjection) -> None:
    """A repeat of one that was done finds none. Again: the call that follows one that was lost before it was made."""
    series_id = await _make(environment)
    await environment.until_holds(_ONE_EACH)
    await fault.arm_twice(f"{fault.call}:before")
    await environment.ask("DELETE", f"/series/{series_id}", refusal=404)
    environment.cancelled_ns = time.time_ns()
