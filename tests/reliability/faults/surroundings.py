"""Where a campaign serves, and where its processes' standard error goes."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prebooking_local.serving import PortBusyError, listen


def free_port() -> int:
    """Below those that systems hand out to outgoing connections, which would take it between two replicas."""
    for port in random.sample(range(15_000, 20_000), 100):
        try:
            listen("127.0.0.1", port).close()
        except PortBusyError:
            continue
        return port
    raise PortBusyError("found no free port for the service")


@contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """For all processes that are started within: the stand-ins, and the one that the replicas are forked from."""
    ours = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
