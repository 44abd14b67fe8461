"""A progress bar for a terminal, in one line that is drawn over itself."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

__all__ = ["ProgressBar"]

WIDTH: Final = 30
DRAWN_EVERY: Final = 0.1


class ProgressBar:
    """Draws on ``stream`` (standard error) when that is a terminal, and nothing elsewhere.

    ``with ProgressBar() as bar: client.batches.run(…, progress=bar.show)``
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        stream = stream or sys.stderr
        self._stream = stream
        self._clock = clock
        self._shown = stream.isatty()
        self._begun = clock()
        self._first: int | None = None
        self._drawn = float("-inf")

    def show(self, done: int, total: int) -> None:
        """Draws that so many of ``total`` are done, at most ten times a second."""
        if self._first is None:
            self._first = done  # the rate is that of this run
        now = self._clock()
        if self._shown and (now >= self._drawn + DRAWN_EVERY or done == total):
            self._drawn = now
            self._stream.write("\r" + self._line(done, total, self._first, now - self._begun) + "\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        """Leaves the line as it is and begins the next one."""
        if self._first is not None and self._shown:
            self._first = None
            self._stream.write("\n")
            self._stream.flush()

    def _line(self, done: int, total: int, first: int, seconds: float) -> str:
        share = done / total if total else 1.0
        filled = int(share * WIDTH)
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%} {done:,}/{total:,}"
        rate = (done - first) / seconds if seconds > 0 else 0.0
        return f"{line} {rate:,.0f}/s" if rate >= 1 else line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
