"""Files that nobody but their owner may read: the SQLite database and the key files."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

OWNER_ALONE: Final = 0o600
OTHERS: Final = 0o077


def make_private(path: Path) -> None:
    """Makes the file, empty and its owner's alone, unless it is there: a file that is there stays as it is.

    And it isn't opened: to close any handle of a file drops all locks that the process holds on it (POSIX), SQLite's
    among them. Another process would then take itself for the last one and remove the log that is being written.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, OWNER_ALONE))


@contextmanager
def made_private() -> Generator[None]:
    """Whatever file or folder the process makes in this block is its owner's alone."""
    before = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def require_private(path: Path) -> None:
    """Raises ``PermissionError``, with what to do, when others than the file's owner can read or write it."""
    if path.stat().st_mode & OTHERS:
        raise PermissionError(f"{path} can be read by others: chmod 600 it")
