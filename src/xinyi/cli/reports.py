"""A report file that is there whole or not at all, and never beside an error that it knows nothing of."""

import os
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import click
import msgspec
from msgspec import Struct

from .words import both


class ReportFile:
    """Collects lines beside the place where the report is to be."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    async def write(self, lines: AsyncIterable[Struct]) -> None:
        """Writes the report, one line of JSON each."""
        encoder = msgspec.json.Encoder()
        async for line in lines:
            self._out.write(encoder.encode(line) + b"\n")


@contextmanager
def report_file(path: Path | None, source: IO[bytes]) -> Generator[ReportFile | None]:
    """The report that is to be at ``path`` once the block has ended well; ``None`` without a path.

    An older report goes first. Raises ``click.BadParameter`` before anything is done when the report can't be written
    there, or when ``path`` is what ``source`` reads from.
    """
    if path is None:
        yield None
        return
    if _is_same(path, source):
        raise click.BadParameter(
            both("报告不能写到要导入的文件", f"{path} is the file that is to be imported"), param_hint="--report"
        )
    try:
        if path.exists() and not path.is_file():  # a terminal or a pipe: nothing lasts there
            with path.open("wb") as out:
                yield ReportFile(out)
            return
        beside = NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
        path.unlink(missing_ok=True)
    except OSError as error:
        raise click.BadParameter(
            both("无法写入报告", f"can't write {path}: {error.strerror}"), param_hint="--report"
        ) from error
    try:
        with beside as out:
            yield ReportFile(out)
        Path(beside.name).replace(path)
    finally:
        Path(beside.name).unlink(missing_ok=True)


def _is_same(path: Path, source: IO[bytes]) -> bool:
    with suppress(OSError):  # one of them isn't a file that is there
        return os.path.samestat(path.stat(), os.fstat(source.fileno()))
    return False
