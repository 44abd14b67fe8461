"""Structured logs on standard error: one JSON object a line, or coloured text on a terminal.

Nothing that a caller sent and no record's value is logged. Exceptions are logged by type and place, since their text
may quote a value; and of what a library logs only the words that its authors wrote, without what they fill in; its news
(INFO) that have something to fill in are left out whole.
"""

import logging
import sys
from types import TracebackType
from typing import Final, TextIO

import structlog
from structlog.typing import Processor

_PLACES: Final = 12
_WRITES_VALUES: Final = ("httpcore", "httpcore2", "hpack", "websockets")
"""Libraries that put what they send and receive into the words themselves: they warn, and say no more."""
_SAYS_EACH_STEP: Final = ("alembic",)
"""Libraries whose news are told elsewhere (`xinyi migrate` says what it did): they warn alone, too."""


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Sets up the logs of the whole process: ours, and the libraries'.

    ``level`` is a name such as ``INFO``; ``stream`` is standard error unless another is given.
    """
    stream = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: Processor = structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Libraries)]:
        root.removeHandler(handler)
    root.addHandler(_Libraries())
    root.setLevel(threshold)
    for name in (*_WRITES_VALUES, *_SAYS_EACH_STEP):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Libraries(logging.Handler):
    """What libraries log through the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.INFO and record.args:
            return  # news with blanks, such as "Started server process [%d]", tell an operator nothing
        said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else _described(error)
        # structlog knows the five levels alone
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, "library", logger=record.name, said=said, **more)


def log_unforeseen(error: BaseException, interaction_id: str | None = None) -> None:
    """Logs an exception that nobody foresaw: its type and where it came from, never its text.

    ``interaction_id``: of the request, if there is one. Its caller was told the same, and quotes it to support.
    """
    of = {} if interaction_id is None else {"interaction_id": interaction_id}
    structlog.get_logger().error("unforeseen", **_described(error), **of)


def _described(error: BaseException) -> dict[str, object]:
    return {"error": type(error).__name__, "places": _places(error.__traceback__)}


def _places(traceback: TracebackType | None) -> list[str]:
    """The innermost places that an exception came through."""
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places[-_PLACES:]
