"""One opening for a harness that brings its own box: N prebookings, member i with the session cookie `job=i`.

The full path, with nothing left out: created over HTTP, delivered by QStash, booked at the target.
"""

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from prebooking_local.stack import Member, Ports, Stack, local_stack

_CLASS_ID = 1
# 30 are ready within the usual lead; hundreds want more time on the same cores.
_FEW = 50
_WITHIN_S = 60
_UNDISTURBED_S = 1.0  # nobody asks the database at the opening itself


async def main(count: int, at: float, target: str) -> int:
    lead_s = 3 if count <= _FEW else 10
    settings = {
        "AIMHARDER_BOX_URL": target,
        "AIMHARDER_ACCOUNT_URL": target,
        "AIMHARDER_LOGIN_URL": target,
        "LEAD_SECONDS": str(lead_s),
        "MAX_DURATION_SECONDS": str(lead_s + 8),
        "LOG_LEVEL": "ERROR",
    }
    async with local_stack(Ports(0, 0, 0, 0), (), parallelism=max(100, count), **settings) as stack:
        people = [Member(f"m{i:04}@example.com", "", str(i)) for i in range(count)]
        await stack.store_sessions([_session(person) for person in people])
        for person in people:  # one after another: the order in which they must leave
            await _create(stack, person, at)
        sys.stdout.write(json.dumps({"event": "created", "at": time.time()}) + "\n")
        sys.stdout.flush()
        return await _until_finished(stack, count, at)


def _session(person: Member) -> dict[str, Any]:
    cookies = [{"name": "job", "value": person.name}]
    return {"email": person.email, "token": "token", "cookies": cookies, "fingerprint": "fingerprint"}


async def _create(stack: Stack, person: Member, at: float) -> None:
    await stack.prebook(
        person.email,
        {
            "box_subdomain": "box",
            "box_aimharder_id": 1,
            "booking_data": {"day": f"{datetime.now(UTC) + timedelta(days=4):%Y%m%d}", "id": _CLASS_ID},
            "available_at": datetime.fromtimestamp(at, UTC).isoformat(),
        },
    )


async def _until_finished(stack: Stack, count: int, at: float) -> int:
    """The exit code: 0 once all are booked."""
    await asyncio.sleep(max(0.0, at - time.time()) + _UNDISTURBED_S)
    async with stack.database() as connection:
        while time.time() < at + _WITHIN_S:
            booked = await connection.fetchval("select count(*) from public.prebookings where status = 'completed'")
            if booked == count:
                return 0
            await asyncio.sleep(0.1)
    return 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--n", type=int, required=True)
    options.add_argument("--at", type=float, required=True, help="epoch seconds")
    options.add_argument("--target", required=True)
    chosen = options.parse_args()
    sys.exit(asyncio.run(main(chosen.n, chosen.at, chosen.target)))
