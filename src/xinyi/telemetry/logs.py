"""Structured logs on standard error: one JSON object a line, or coloured text on a terminal.

Nothing that a caller sent and no record's value is logged; exceptions are logged by type and place, since their text
may quote a value.
"""

import logging
import sys

import structlog
from structlog.typing import Processor


def configure_logging(level: str) -> None:
    """Sets up structlog for the whole process. ``level`` is a name such as ``INFO``."""
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_unforeseen(error: BaseException, interaction_id: str | None = None) -> None:
    """Logs an exception that nobody foresaw: its type and where it came from, never its text.

    ``interaction_id``: of the request, if there is one. Its caller was told the same, and quotes it to support.
    """
    places = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    of = {} if interaction_id is None else {"interaction_id": interaction_id}
    structlog.get_logger().error("unforeseen", error=type(error).__name__, places=places[-12:], **of)
