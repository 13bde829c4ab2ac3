"""How uvicorn is run: with bounded connections, and as many open files as they may need."""

import resource
from typing import Any

from prebooking.server.bounded_connection import BoundedConnection
from prebooking.server.bounds import MOST_CONNECTIONS, ROOM

_OTHER_FILES = 1000


def raise_open_files() -> None:
    """Raises the limit of open files. It is 1,024 by default; each held delivery needs two, its own and the gym's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        # With a lower limit, waiting connections have to be evicted earlier.
        BoundedConnection.table.most = min(MOST_CONNECTIONS - ROOM, max(ROOM, (soft - _OTHER_FILES) // 2))


#: For uvicorn.run.
LIMITS: dict[str, Any] = {
    "http": BoundedConnection,
    "ws": "none",
    "limit_concurrency": MOST_CONNECTIONS,
    "timeout_keep_alive": 75,  # longer than the 60 s of usual proxies: theirs is the one to close, never mid-request
}
