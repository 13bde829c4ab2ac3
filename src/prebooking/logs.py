"""Logging to standard error, without secrets: one line per event, as JSON or, in a terminal, as text."""

import logging
import sys
from collections.abc import Mapping
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from prebooking.domain.plain_text import printable
from prebooking.redaction import Redactor

_MULTILINE = ("exception", "stack")


def configure_logs(level: str, secrets: Mapping[str, str] | None = None) -> None:
    """Configures structlog and the standard library. `secrets`: values to redact, each with the name of its setting."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    redactor = Redactor(secrets)
    pretty = sys.stderr.isatty()
    # JSON escapes control characters itself.
    renderers: list[Processor] = (
        [_escape, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.JSONRenderer()]
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
                structlog.processors.format_exc_info,  # without locals, which contain keys
                redactor,  # after everything that renders text
                *renderers,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Uvicorn's own command writes requests, whose paths may be secret, past these handlers.
    logging.getLogger("uvicorn.access").filters[:] = [_RedactArguments(redactor)]
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_uncaught
    # They log every URL with its query.
    for name in ("httpx", "httpcore", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _escape(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escapes control characters in text of outsiders, which a terminal would execute. Tracebacks keep their lines."""
    return {name: _escaped(name, value) if isinstance(value, str) else value for name, value in event.items()}


def _escaped(name: str, value: str) -> str:
    return "\n".join(map(printable, value.split("\n"))) if name in _MULTILINE else printable(value)


class _RedactArguments(logging.Filter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._redactor.text(one) if isinstance(one, str) else one for one in record.args)
        return True


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker alone
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the library's name
        """Does not print the arguments, as the standard library does: they may contain secrets."""
        self.stream.write(f"a log line of {record.name} ({record.pathname}:{record.lineno}) could not be written\n")


def _on_uncaught(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, trace)
        return
    structlog.get_logger().critical("crashed", exc_info=(kind, exc, trace))
