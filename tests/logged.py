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
def logged(secrets: Iterable[str], level: str = "DEBUG") -> Iterator[io.StringIO]:
    """Everything logged within, in this process."""
    root, hook, before = logging.getLogger(), sys.excepthook, structlog.get_config()
    handlers, root_level = root.handlers[:], root.level
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        configure_logs(level, secrets)
    structlog.configure(cache_logger_on_first_use=False)  # or the loggers of the modules would stay as they are now
    try:
        yield stream
    finally:
        logging.captureWarnings(capture=False)
        sys.excepthook = hook
        root.handlers[:] = handlers
        root.setLevel(root_level)
        structlog.configure(**before)
