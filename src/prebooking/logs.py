"""One line an event: JSON for machines, pretty in a terminal. Everything goes to standard error, without secrets."""

import logging
import sys
from collections.abc import Mapping
from types import TracebackType

import structlog
from structlog.typing import Processor

from prebooking.redaction import Redactor


def configure_logs(level: str, secrets: Mapping[str, str] | None = None) -> None:
    """`secrets`: values that no line may show, whatever it is about, and the setting that each is."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    redactor = Redactor(secrets)
    pretty = sys.stderr.isatty()
    last: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # no locals: they hold keys
                redactor,  # after all that makes text
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_uncaught
    # They log each URL with its query.
    for name in ("httpx", "httpcore", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker alone
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the library's name
        """The library's own would print the arguments, with what is in them."""
        self.stream.write(f"a log line of {record.name} ({record.pathname}:{record.lineno}) could not be written\n")


def _on_uncaught(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, trace)
        return
    structlog.get_logger().critical("crashed", exc_info=(kind, exc, trace))
