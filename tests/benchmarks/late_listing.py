"""A class listed only at its opening, wanted by many by hour and name: `python -m tests.benchmarks.late_listing`.

From the gym's answer that first shows the class to the first byte of each booking request at the gym; and how often the
listing is asked for meanwhile, by all of them together.
"""

import argparse
import asyncio
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.benchmarks.contestants import Ours
from tests.benchmarks.scene import BOOK, BOX, NANO, Scene, open_scene, sleep_until, whole_second
from tests.support.percentiles import percentile

_OUT = Console(width=120)
_LISTING = "/api/bookings"
_LEAD_S, _LIMIT_S = 10, 18


class ByHour(Ours):
    """Their prebookings name no id."""

    async def announce(self, opens_at: datetime) -> tuple[int, str]:
        """Puts up the class, and another one that is listed from the start."""
        class_id, day = await self._scene.announce(opens_at)
        common = {"box": BOX["slug"], "day": day, "opens_at": opens_at.isoformat(), "capacity": 1000}
        wanted = common | {"id": class_id, "time": "18:00 - 19:00", "listed_at_opening": True}
        for one in (wanted, common | {"id": class_id + 500_000, "time": "08:00 - 09:00", "name": "Yoga"}):
            await self._scene.stack.control(self._scene.stack.aimharder_url, "classes", one)
        return class_id, day

    def class_wished(self, _: int, day: str) -> dict[str, Any]:
        return {"booking_data": {"day": day}, "class": {"starts": "18:00", "name": "CrossFit"}}


async def measure(scene: Scene, count: int) -> tuple[list[float], int, float, int]:
    """Returns the milliseconds of each request after the answer, the listings asked for in the second before the
    opening, the milliseconds from the opening to the answer, and how many members were not booked.
    """
    await scene.forget()
    one = ByHour(scene, _LEAD_S)
    opens_at = whole_second(_LEAD_S + 2 + count / 60)
    class_id, _ = await one.create_all(count, opens_at)
    await sleep_until(opens_at, 4 + count / 100)
    opened_ns = int(opens_at.timestamp()) * NANO
    ledger = (await scene.stack.control(scene.stack.aimharder_url, "ledger"))["requests"]
    asked = [e for e in ledger if e["path"] == _LISTING]
    shown_ns = min(e["answered_ns"] for e in asked if e["first_byte_ns"] >= opened_ns and e["answered_ns"])
    booked = [e for e in ledger if e["path"] == BOOK and str(e["form"].get("id")) == str(class_id)]
    # All have asked for the listing once before, to make ready.
    waiting = sum(opened_ns - NANO <= e["first_byte_ns"] < opened_ns for e in asked)
    late = sorted((e["first_byte_ns"] - shown_ns) / 1e6 for e in booked)
    missing = count - len({e["member"] for e in booked if (e["decided"] or {}).get("bookState") == 1})
    return late, waiting, (shown_ns - opened_ns) / 1e6, missing


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="*", default=[1, 30, 300])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shown = Table(title="Milliseconds from the answer that first shows the class to a request's first byte at the gym")
    for name in ("N", "rounds", "p50", "p99", "last", "listings in the second before", "listed after", "not booked"):
        shown.add_column(name, justify="right")
    settings = {"LEAD_SECONDS": str(_LEAD_S), "MAX_DURATION_SECONDS": str(_LIMIT_S), "LOG_LEVEL": "ERROR"}
    async with open_scene(max(options.n), **settings) as scene:
        for count in options.n:
            rounds = [await measure(scene, count) for _ in range(options.rounds)]
            pooled = sorted(ms for late, *_ in rounds for ms in late)
            shown.add_row(
                *(str(count), str(options.rounds)),
                *(f"{one:.1f}" for one in (percentile(pooled, 50), percentile(pooled, 99), pooled[-1])),
                str(max(waiting for _, waiting, _, _ in rounds)),
                f"{max(after for _, _, after, _ in rounds):.1f}",
                str(sum(missing for *_, missing in rounds)),
            )
    _OUT.print(shown)


if __name__ == "__main__":
    asyncio.run(main())
