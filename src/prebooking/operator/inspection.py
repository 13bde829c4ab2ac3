"""The state of the service in the database: migrations, grants, pending and stuck prebookings."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from prebooking.adapters import clock
from prebooking.adapters.migrations import shipped_functions
from prebooking.adapters.supabase.rpc import SupabaseRpc
from prebooking.domain.prebooking import Prebooking


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The opening that most prebookings wait for, of the next 5,000."""

    opening: datetime
    planned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """See sql/functions/70_inspection.sql."""

    now: datetime
    on_the_way_s: float  #: latency of the call
    host_now: float  #: this host's clock, epoch seconds, at `now`
    migrations: Mapping[str, str]
    open_functions: tuple[str, ...]
    closed_functions: tuple[str, ...]
    missing_functions: tuple[str, ...]
    open_tables: tuple[str, ...]
    counts: Mapping[str, int]
    estimated: tuple[str, ...]  #: the statuses whose count is an estimate
    most: int  #: the following are counted up to this number
    crowd: Crowd | None = None  #: None: nothing waits, or the functions are an earlier release's
    overdue: int  #: due for a minute or more, and not taken up
    unswept: int  #: executing, and its lease ended a minute ago or more
    late: int  #: opened within the last minute, and nothing has begun to book them
    late_s: float | None  #: how long the latest of them has been open
    without_message: int
    elsewhere: int  #: their message is addressed to another URL than PUBLIC_URL
    elsewhere_url: str | None
    warned: int
    untold: int  #: notices that were not sent
    untold_because: str | None
    series: int
    unfilled: int  #: series whose due day has not been created for five minutes
    sessions: int
    sealed_under: tuple[str, ...]  #: the ids of the keys that encrypt sessions
    cron_rows: int  #: left by the web application's cron job
    foreign_rows: int  #: inserted by the web application
    next: tuple[Prebooking, ...]
    last: tuple[Prebooking, ...]

    def number(self, counted: int) -> str:
        return str(counted) if counted < self.most else f"{counted} or more"


_INSPECTION = TypeAdapter(Inspection)


async def inspect(rpc: SupabaseRpc, public_url: str, *, limit: int = 10) -> Inspection:
    """Raises StoreUnavailableError."""
    functions = sorted(shipped_functions())
    answer = await rpc.call("inspect_service", functions=functions, limit=limit, public_url=public_url)
    on_the_way_s = clock.monotonic() - answer["sent_at"]
    host = {"on_the_way_s": on_the_way_s, "host_now": time.time() - on_the_way_s / 2}
    return _INSPECTION.validate_python(answer | host)
