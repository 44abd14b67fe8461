"""Cuts a stream of bytes into lines, in bounded memory whatever the stream holds."""

from typing import Final

MAX_LINE: Final = 64 * 1024
"""The most bytes of a row. A longer line is told as ``None`` and its bytes are dropped as they pass."""


class LineSplitter:
    """Feed it blocks of any size; it gives the lines that are complete, without their ends (LF or CRLF)."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._too_long = False

    def feed(self, block: bytes) -> list[bytes | None]:
        first, *others = block.split(b"\n")
        self._append(first)
        lines: list[bytes | None] = []
        for part in others:
            lines.append(self._take())
            self._append(part)
        return lines

    def end(self) -> list[bytes | None]:
        """The last line, if the stream doesn't end with a line end."""
        return [self._take()] if self._rest or self._too_long else []

    def _append(self, part: bytes) -> None:
        if self._too_long or len(self._rest) + len(part) > MAX_LINE:
            self._too_long = True
            self._rest.clear()
        else:
            self._rest += part

    def _take(self) -> bytes | None:
        line = None if self._too_long else bytes(self._rest.removesuffix(b"\r"))
        self._rest.clear()
        self._too_long = False
        return line
