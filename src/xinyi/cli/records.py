"""``xinyi records``: import what sources send."""

import asyncio
import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..kernel.canonical import b64url
from ..kernel.text import Text
from ..records.imports import Progress as Committed
from ..records.model import RecordBatch, Verdict
from ..records.rows import Format
from ..wiring import Services
from .collector import collect_seldom
from .context import with_services
from .reports import report_file
from .tables import show_table
from .words import both, say

SOME_REJECTED: Final = 3
"""Exit status when the import went through and rejected some rows."""

_STDIN: Final = "-"
_BETWEEN_NOTES: Final = 1.0  # seconds


@click.group()
def records() -> None:
    """Positive records 正面信息."""


@records.command("import")
@click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--source", required=True, metavar="ID", help="The source that sends the file.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([each.value for each in Format]),
    help="How the file is written; the default is csv for FILE.csv, else ndjson.",
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a verdict for each row here, as NDJSON."
)
@with_services
async def import_(services: Services, file: str, source: str, format_: str | None, report: Path | None) -> None:
    """Import a file of rows, or standard input.

    Rows are stored in chunks. When an import is interrupted, the same command goes on where it stopped; to import the
    same file again changes nothing. A bad row is rejected and never stops the others. The report, the summary and
    errors name line, member and code, never a value or an identifier.

    The report is checked to be possible first, and is there once the import went through.

    Exits with status 3 when rows were rejected, 1 when the import couldn't go on, 0 otherwise.
    """
    collect_seldom()
    kind = Format(format_ or ("csv" if file.lower().endswith(".csv") else "ndjson"))
    with _opened(file) as stream, report_file(report, stream) as verdicts:
        digest = _digest(stream) if stream.seekable() else None  # a pipe can be read but once
        batch = await services.imports.open(source, kind, digest)
        if batch.lines:
            say(f"从第 {batch.lines} 行之后继续", f"goes on after line {batch.lines}", err=True)
        with (
            _progress(batch, _count(stream) if stream.seekable() else None) as committed,
            _interruption_told(batch, committed, resumes=stream.seekable()) as noted,
        ):
            batch = await services.imports.run(batch, stream, noted)
        if verdicts is not None:
            await verdicts.write(services.imports.report(batch.id))
    _summarise(batch)
    if batch.rejected:
        if report is None:
            say(
                "用 --report FILE 可得知哪些行被拒绝及原因",
                "say --report FILE to learn which rows were rejected, and why",
                err=True,
            )
        raise SystemExit(SOME_REJECTED)


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if file == _STDIN else Path(file).open("rb")


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    for block in iter(lambda: stream.read(1 << 20), b""):
        found.update(block)
    stream.seek(0)
    return "sha-256:" + b64url(found.digest())


def _count(stream: BinaryIO) -> int:
    """Lines in the file, for the bar."""
    lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    stream.seek(0)
    return lines


@contextmanager
def _progress(batch: RecordBatch, lines: int | None) -> Iterator[Committed]:
    """A bar on a terminal; elsewhere a line now and then, each of which is a promise: what it tells is stored."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _notes()
        return
    columns = (
        TextColumn(both("记录", "records")),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("records", total=lines, completed=batch.lines)

        def show(now: RecordBatch) -> None:
            bar.update(task, completed=now.lines)

        yield show


def _notes() -> Committed:
    last = float("-inf")

    def note(batch: RecordBatch) -> None:
        nonlocal last
        if time.monotonic() - last >= _BETWEEN_NOTES:
            last = time.monotonic()
            say(f"已存到第 {batch.lines} 行", f"stored up to line {batch.lines}", err=True)

    return note


@contextmanager
def _interruption_told(batch: RecordBatch, committed: Committed, *, resumes: bool) -> Iterator[Committed]:
    """Says what is stored, and how to go on, when somebody stops the import."""
    stored = batch.lines

    def note(now: RecordBatch) -> None:
        nonlocal stored
        stored = now.lines
        committed(now)

    try:
        yield note
    except asyncio.CancelledError:
        how = (
            Text("再次运行同一命令即可继续", "the same command goes on there")
            if resumes
            else Text("请重新发送，已存的不受影响", "send it again, what is stored stays as it is")
        )
        say(
            f"已中断，已存到第 {stored} 行：{how.zh}",
            f"interrupted, stored up to line {stored}: {how.en}",
            err=True,
        )
        raise


def _summarise(batch: RecordBatch) -> None:
    verdicts = [verdict.value for verdict in Verdict]
    rows = both(f"{batch.rows} 行", f"{batch.rows} {'row' if batch.rows == 1 else 'rows'}")
    show_table(
        verdicts,
        [[str(getattr(batch, verdict)) for verdict in verdicts]],
        numeric=verdicts,
        title=f"{batch.id}: {rows}",
        err=True,
    )
