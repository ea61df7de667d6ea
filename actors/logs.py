"""Log lines: a sentence for people, an `action` for machines. Never a QR, a code, a key or a message's text."""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog


class Forgiving:
    """A stream for log lines. One that nobody takes (a full disk, a closed pipe) is lost, and nobody fails for it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure_logs() -> None:
    """One line a record on stderr: JSON where nobody reads along, coloured where a person does."""
    person = sys.stderr.isatty()
    stream = cast(TextIO, Forgiving(sys.stderr))
    renderer = structlog.dev.ConsoleRenderer() if person else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(of_libraries(renderer))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def of_libraries(renderer: Any) -> logging.Formatter:
    """What libraries warn of, in the form of our own lines."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
