"""The whole log as NDJSON, for auditors: everything that verification needs but the ledger's public keys.

The first line is the log with its newest checkpoint, so that a file cut short is noticed; then leaves and checkpoints
follow in the order in which they were made. An entry is base64url of its exact bytes, or null when it was erased.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.canonical import b64url, unb64url
from . import repo
from .repo import Leaf, Signed

CHUNK: Final = 1000
"""Rows read at a time."""

Record: TypeAlias = Leaf | Signed


class LogLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="log"):
    log_id: str
    tree_size: int
    checkpoint: str | None


class LeafLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="leaf"):
    leaf_index: int
    leaf_hash: str
    kind: str
    id: str
    entry: str | None
    erased_by: int | None


class CheckpointLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="checkpoint"):
    tree_size: int
    root_hash: str
    jws: str


class NotAnExport(ValueError):
    """A file that doesn't begin as an export does: what it is of can't be told."""


class UnreadableLine(ValueError):
    """A line that isn't one of an export. ``number`` counts from 1."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} isn't a line of a ledger's export")
        self.number = number


async def read_log(tx: AsyncConnection, log_id: str) -> AsyncGenerator[list[Record]]:
    """The stored log in chunks: leaves by index, each checkpoint after the last leaf that it covers."""
    covered = 0
    start = 0
    while leaves := await repo.leaves(tx, log_id, start, CHUNK):
        start = leaves[-1].leaf_index + 1
        checkpoints = await repo.checkpoints(tx, log_id, covered, start, start - covered)
        covered = start
        yield sorted([*leaves, *checkpoints], key=_order)
    while checkpoints := await repo.checkpoints(tx, log_id, covered, None, CHUNK):
        covered = checkpoints[-1].tree_size
        yield list(checkpoints)


async def export_lines(tx: AsyncConnection) -> AsyncGenerator[bytes]:
    """The log, line by line; nothing while it is empty. ``tx`` is a fresh unit of work."""
    await repo.begin_snapshot(tx)
    head = await repo.head(tx)
    if head is None:
        return
    yield _line(LogLine(head.log_id, head.tree_size, head.checkpoint))
    async for records in read_log(tx, head.log_id):
        for record in records:
            yield _line(_leaf_line(record) if isinstance(record, Leaf) else _checkpoint_line(record))


def read_header(line: bytes | None) -> LogLine:
    """The first line, if there is one. Raises :class:`NotAnExport`."""
    if line is None:
        raise NotAnExport("it is empty: an export begins with a line that names the log")
    try:
        return msgspec.json.decode(line, type=LogLine)
    except msgspec.DecodeError as error:
        raise NotAnExport("it isn't a ledger's export: its first line doesn't name the log") from error


def read_records(lines: Iterable[bytes]) -> Iterator[Record]:
    """The lines after the first. Raises :class:`UnreadableLine` at the first that can't be read."""
    for number, line in enumerate(lines, 2):
        try:
            yield _record(_decoder.decode(line))
        except ValueError as error:
            raise UnreadableLine(number) from error


_decoder: Final = msgspec.json.Decoder(LeafLine | CheckpointLine)


def _order(record: Record) -> tuple[int, bool]:
    return (record.leaf_index + 1, False) if isinstance(record, Leaf) else (record.tree_size, True)


def _line(line: Struct) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _leaf_line(leaf: Leaf) -> LeafLine:
    entry = None if leaf.body is None else b64url(leaf.body)
    return LeafLine(leaf.leaf_index, b64url(leaf.leaf_hash), leaf.kind, leaf.entry_id, entry, leaf.erased_by)


def _checkpoint_line(signed: Signed) -> CheckpointLine:
    return CheckpointLine(signed.tree_size, b64url(signed.root_hash), signed.jws)


def _record(line: LeafLine | CheckpointLine) -> Record:
    if isinstance(line, CheckpointLine):
        return Signed(line.tree_size, unb64url(line.root_hash), line.jws)
    body = None if line.entry is None else unb64url(line.entry)
    return Leaf(line.leaf_index, unb64url(line.leaf_hash), line.kind, line.id, body, line.erased_by)
