"""``xinyi ledger``: export the transparency log, and verify it without trusting whoever stores it."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import DBAPIError

from ..catalogue.files import FileError
from ..catalogue.service import Catalogue
from ..checks.witness import CheckRows, ConsentUses
from ..consents.witness import ConsentRows
from ..kernel.clock import SystemClock
from ..kernel.errors import XinyiError
from ..kernel.text import Text
from ..ledger import repo
from ..ledger.checkpoint import CheckpointKeys, InvalidCheckpoint
from ..ledger.diagnosis import Fault, FaultKind
from ..ledger.export import NotAnExport, export_lines
from ..ledger.model import Checkpoint
from ..ledger.verify import Progress as Advance
from ..ledger.verify import Report, verify_database, verify_export
from ..ledger.witness import Witness
from ..scenarios.registry import Registry
from ..settings import Settings
from ..storage.database import Database
from ..storage.key_files import UnfitKeys, open_keys
from ..storage.migrate import NotMigrated, require_migrated
from ..subjects.sealing import Pseudonyms
from ..wiring import Services
from .context import current_settings, with_services
from .words import both, say

_FAULTS: Final = {
    FaultKind.EDITED: "条目被改动",
    FaultKind.DELETED: "条目被删除",
    FaultKind.REORDERED: "条目次序被改动",
    FaultKind.INSERTED: "被插入条目",
    FaultKind.TRUNCATED: "末尾条目被截去",
    FaultKind.REWRITTEN: "与另存的检查点不符",
    FaultKind.FORGED: "检查点并非由账本的密钥签署",
    FaultKind.DAMAGED: "由条目算出的数据有损坏",
}
assert set(_FAULTS) == set(FaultKind), "each fault has its words"
_readable = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def ledger() -> None:
    """The transparency log of checks and consents."""


@ledger.command()
@click.option("--file", type=_readable, help="Verify this export; otherwise the database of this installation.")
@click.option(
    "--jwks", type=_readable, help="The ledger's public keys, from /v1/ledger/jwks; otherwise this installation's."
)
@click.option(
    "--checkpoint",
    "checkpoints",
    type=_readable,
    multiple=True,
    help="A checkpoint or receipt that was kept elsewhere: it shows even a complete rewrite. May be repeated.",
)
def verify(file: Path | None, jwks: Path | None, checkpoints: tuple[Path, ...]) -> None:
    """Verify the whole log: every entry, every signed checkpoint, and the tree that is stored for proofs.

    In the database, hold the rows of checks and consents against it as well. Names the first entry (counted from 0)
    that was edited, deleted, reordered, inserted or truncated, and exits with
    status 1. Entries erased by law are counted and no fault. Exits with status 2 when it can't verify at all. Makes
    nothing: neither keys nor a database.
    """
    try:
        keys = _keys(jwks)
        known = [_checkpoint(path, keys) for path in checkpoints]
        report = _of_database(keys, known, jwks) if file is None else _of_export(file, keys, known)
    except XinyiError as error:
        raise CantVerify(error.detail or error.definition.title.en) from error
    except (FileError, NotAnExport, NotMigrated, PermissionError, UnfitKeys) as error:
        raise CantVerify(str(error)) from error
    except DBAPIError as error:
        raise CantVerify("the database can't be read") from error
    _conclude(report, known)


class CantVerify(click.ClickException):
    """There is nothing to verify, or nothing to verify it with."""

    exit_code = 2

    def format_message(self) -> str:
        return both("无法核验", f"can't verify: {self.message}")


def _of_export(file: Path, keys: CheckpointKeys, known: Sequence[Checkpoint]) -> Report:
    with file.open("rb") as lines, _progress(file.stat().st_size, of_bytes=True) as advance:
        return verify_export(lines, keys, known, advance)


def _of_database(keys: CheckpointKeys, known: Sequence[Checkpoint], jwks: Path | None) -> Report:
    settings = current_settings()
    database = Database(settings.effective_database_url)
    if database.is_sqlite and not database.files:  # to open it would make it
        raise CantVerify(f"there is no database at {settings.effective_database_url}")

    async def work() -> Report:
        try:
            await require_migrated(database)
            async with database.read() as tx:
                size = await repo.size(tx)
            with _progress(size) as advance:
                async with database.read() as tx:
                    return await verify_database(tx, keys, known, advance, _witnesses(settings, jwks))
        finally:
            await database.close()

    return asyncio.run(work())


def _witnesses(settings: Settings, jwks: Path | None) -> list[Witness]:
    """The tables that the log tells of. With --jwks alone, nobody can tell whose the subjects' ids are."""
    scenarios = Registry.load(Catalogue.load(settings.scenarios_dir), settings.scenarios_dir)
    pairwise = None
    if jwks is None:
        pairwise = Pseudonyms(open_keys(settings.keys_dir, settings.environment, SystemClock())).pairwise
    return [ConsentRows(scenarios, pairwise), CheckRows(pairwise), ConsentUses()]


@ledger.command()
@click.argument("file", type=click.File("wb", lazy=True), default="-")
@with_services
async def export(services: Services, file: BinaryIO) -> None:
    """Write the whole log to FILE (standard output unless given) as NDJSON, for `xinyi ledger verify --file`."""
    async with services.database.read() as tx:
        size = await services.ledger.size(tx)
    with _progress(size) as advance:
        async with services.database.read() as tx:
            async for line in export_lines(tx):
                file.write(line)
                advance(line.startswith(b'{"type":"leaf"'))


@ledger.command()
@with_services
async def checkpoint(services: Services) -> None:
    """Print the newest signed checkpoint. Keep it elsewhere, and give it to `xinyi ledger verify --checkpoint`."""
    async with services.database.read() as tx:
        click.echo(await services.ledger.latest_checkpoint(tx))


def _keys(jwks: Path | None) -> CheckpointKeys:
    if jwks is None:
        settings = current_settings()
        return CheckpointKeys(open_keys(settings.keys_dir, settings.environment, SystemClock()).ledger.public_jwks())
    try:
        return CheckpointKeys(msgspec.json.decode(jwks.read_bytes(), type=dict[str, Any]))
    except ValueError as error:
        raise click.BadParameter(both("公钥文件有误", f"{jwks}: {error}"), param_hint="--jwks") from error


def _checkpoint(path: Path, keys: CheckpointKeys) -> Checkpoint:
    """Reads a checkpoint as it was signed, out of a receipt, or as ``/v1/ledger/checkpoints`` answers it."""
    try:
        text = path.read_text("utf-8").strip()
        token = msgspec.json.decode(text)["data"]["checkpoint"] if text.startswith("{") else text.split("~")[-1]
        return keys.read(token)
    except (
        InvalidCheckpoint,
        UnicodeDecodeError,
        msgspec.DecodeError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        reason = str(error) if isinstance(error, InvalidCheckpoint) else "it holds no checkpoint"
        raise click.BadParameter(both("检查点有误", f"{path}: {reason}"), param_hint="--checkpoint") from error


@contextmanager
def _progress(total: int, *, of_bytes: bool = False) -> Generator[Advance]:
    """A progress bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    count = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(both("账本", "ledger"), total=total)
        yield lambda more: progress.advance(task, more)


def _conclude(report: Report, known: Sequence[Checkpoint]) -> None:
    """Prints the report and ends the command with the status that it deserves."""
    console = Console(soft_wrap=True, highlight=False)

    def tell(zh: str, en: str, text: object) -> None:
        console.print(f"  [dim]{both(zh, en)}[/]  {text}")

    fault = report.fault
    if fault is None:
        console.print("[green]✓[/] 账本完整 / The ledger is sound")
    else:
        console.print("[red]✗[/] 账本有误 / The ledger isn't sound")
    tell("账本编号", "log", report.log_id or "-")
    if fault is None:
        tell("条目", "entries", report.entries)
    else:
        tell("出错前的条目", "entries before the fault", report.entries)
    tell("检查点", "checkpoints", report.checkpoints)
    tell("根", "root", report.root)
    for checkpoint in known:
        moment = datetime.fromtimestamp(checkpoint.iat, UTC)
        tell("已对照检查点", "held against a checkpoint", f"{checkpoint.tree_size}, {moment:%Y-%m-%d %H:%M} UTC")
    if fault is not None:
        where = _where(fault)
        say(f"账本：{_FAULTS[fault.kind]}{where.zh}", f"ledger: {fault.kind.value}{where.en}: {fault.detail}")
        raise SystemExit(1)
    say(
        f"账本：已核验 {report.entries} 条，其中依法删除内容 {report.erased} 条，检查点 {report.checkpoints} 个",
        f"ledger: {report.entries} entries verified, {report.erased} erased, {report.checkpoints} checkpoints",
    )


def _where(fault: Fault) -> Text:
    if fault.first is None:
        return Text("", "")
    if fault.first == fault.last:
        return Text(f"，第 {fault.first} 条（从 0 数起）", f" entry {fault.first}")
    return Text(f"，第 {fault.first} 至 {fault.last} 条（从 0 数起）", f" entries {fault.first} to {fault.last}")
