"""``xinyi sandbox``: made-up subjects and records to try things with."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

import click
import msgspec
from rich.console import Console
from rich.progress import track

from ..kernel.clock import CHINA_TIME
from ..records.rows import Row
from ..sandbox import generator, personas
from ..sandbox.sources import SOURCE_OF, SOURCES, register
from ..wiring import Services
from .context import current_settings, require_sandbox, with_services
from .sandbox_serve import serve_client
from .words import both, heading, say

_TO_STDOUT: Final = "-"


@click.group()
def sandbox() -> None:
    """Made-up subjects and records: recognisable by their region 99xxxx, which is nowhere."""


sandbox.add_command(serve_client)


@sandbox.command()
@with_services
async def sources(services: Services) -> None:
    """Register the sandbox's sources of records, those that aren't there yet."""
    require_sandbox(services.settings)
    async with services.database.transaction() as tx:
        await register(tx, services.partners)
    click.echo(f"{heading('source')}: {', '.join(source.id for source in SOURCES)}")


@sandbox.command()
@click.option("--subjects", type=click.IntRange(0), default=0, help="How many subjects to make up.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="The same seed, the same subjects.")
@click.option("--personas", "with_personas", is_flag=True, help="Write the sandbox's personas too.")
@click.option("--source", type=click.Choice(sorted({source.id for source in SOURCES})), help="Only this source's rows.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day on which the sources send; the default is today.",
)
@click.option(
    "--out",
    metavar="DIR|-",
    help="A folder for one SOURCE.ndjson each, or - to write the rows of --source to standard output; the default is "
    "- with --source, else inbox/ in the data folder.",
)
def generate(
    subjects: int, seed: int, with_personas: bool, source: str | None, today: datetime | None, out: str | None
) -> None:
    """Make up subjects and their records, as their sources would send them, for `xinyi records import`."""
    require_sandbox(current_settings())
    if not subjects and not with_personas:
        raise click.UsageError(both("请给出 --subjects N、--personas 或两者", "say --subjects N, --personas, or both"))
    if out is None:
        out = str(_inbox()) if source is None else _TO_STDOUT
    if out == _TO_STDOUT and source is None:
        raise click.UsageError(
            both(
                "标准输出只写一个信息提供单位的行",
                "standard output takes one source's rows: say --source, or --out DIR",
            )
        )
    day = today.date() if today else datetime.now(CHINA_TIME).date()
    rows = chain(personas.rows(day) if with_personas else (), generator.generate(subjects, seed, day))
    if out == _TO_STDOUT:
        _write(rows, {str(source): sys.stdout.buffer})
        return
    wanted = [each.id for each in SOURCES if source in {None, each.id}]
    with _files(Path(out), wanted) as files:
        counts = _write(_shown(rows), files)
    for name, count in counts.items():
        say(f"{count} 行", f"{count} rows", of=f"{Path(out) / name}.ndjson")


def _inbox() -> Path:
    folder = current_settings().data_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / "inbox"


@contextmanager
def _files(folder: Path, names: list[str]) -> Iterator[dict[str, BinaryIO]]:
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield {name: stack.enter_context((folder / f"{name}.ndjson").open("wb")) for name in names}


def _write(rows: Iterable[Row], files: dict[str, BinaryIO]) -> dict[str, int]:
    """Writes each row to its source's file, if that is wanted; says how many each got."""
    encoder = msgspec.json.Encoder()
    counts = dict.fromkeys(files, 0)
    for row in rows:
        name = SOURCE_OF[row.record_type]
        if name in files:
            files[name].write(encoder.encode(row) + b"\n")
            counts[name] += 1
    return counts


def _shown(rows: Iterable[Row]) -> Iterable[Row]:
    """With a pulse on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return rows
    return track(rows, description=both("沙箱", "sandbox"), console=console, transient=True)
