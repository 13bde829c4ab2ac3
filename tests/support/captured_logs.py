"""What would reach standard error, through the log exactly as the service configures it."""

import io
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
import structlog

from prebooking.logs import configure_logs


@contextmanager
def log_restored() -> Iterator[None]:
    """Whatever configures the log within, afterwards it is as it was."""
    root, hook, before, configure = logging.getLogger(), sys.excepthook, structlog.get_config(), structlog.configure
    handlers, level = root.handlers[:], root.level
    access = logging.getLogger("uvicorn.access")
    filters = access.filters[:]
    with pytest.MonkeyPatch.context() as patch:
        # Or the loggers of the modules would stay as they are within.
        patch.setattr(structlog, "configure", lambda **how: configure(**how | {"cache_logger_on_first_use": False}))
        try:
            yield
        finally:
            logging.captureWarnings(capture=False)
            sys.excepthook = hook
            root.handlers[:] = handlers
            access.filters[:] = filters
            root.setLevel(level)
            configure(**before)


@contextmanager
def logged(secrets: Iterable[str], level: str = "DEBUG") -> Iterator[io.StringIO]:
    """Everything logged within, in this process."""
    stream = io.StringIO()
    with log_restored():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            configure_logs(level, dict.fromkeys(secrets, "redacted"))
        yield stream
