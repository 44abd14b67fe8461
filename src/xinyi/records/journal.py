"""The queries of imports: the rows that are there, the rows that change, and the journal of progress.

All of one chunk happens in one transaction, so that the journal never says more or less than the records do.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, RowMapping, and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.kept import id_after
from ..storage.sql import Prepared, delete_some, insert_rows, one_of
from .model import RecordBatch, RowVerdict, Verdict
from .tables import record_batch_chunks, record_batch_rejections, record_batches, records

LETTERS: Final = {
    Verdict.ACCEPTED: "a",
    Verdict.UPDATED: "u",
    Verdict.UNCHANGED: "n",
    Verdict.SUPERSEDED: "s",
    Verdict.REJECTED: "r",
}
NO_ROW: Final = "."
"""Stands for a line without a row: blank, or a header."""
_VERDICTS: Final = {letter: verdict for verdict, letter in LETTERS.items()}


class Known(Struct, frozen=True):
    """What is there under a source_ref."""

    id: str
    subject_id: str
    record_type: str
    observed_at: datetime
    digest: str


_values: Final = itemgetter(*records.c.keys())
_known: Final = Prepared(
    lambda dialect: select(
        records.c.source_ref,
        records.c.id,
        records.c.subject_id,
        records.c.record_type,
        records.c.observed_at,
        records.c.digest,
    ).where(records.c.source_id == bindparam("source_id"), one_of(dialect, records.c.source_ref, "source_refs"))
)


async def known(tx: AsyncConnection, source_id: str, source_refs: Collection[str]) -> dict[str, Known]:
    """The records that this source has sent under these refs. One query."""
    rows = await _known.fetch(tx, source_id=source_id, source_refs=source_refs)
    return {ref: Known(*values) for ref, *values in rows}


async def insert_records(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    await insert_rows(tx, records, [_values(row) for row in rows])


async def update_records(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replaces what the source said. What the subject said of the record (disputed, suppressed) stays."""
    if rows:
        replaced = ("region", "observed_at", "valid_until", "fields", "digest", "fact", "imported_at")
        statement = update(records).where(records.c.id == bindparam("known_id"))
        await tx.execute(
            statement.values({name: bindparam(f"new_{name}") for name in replaced}),
            [{"known_id": row["id"], **{f"new_{name}": row[name] for name in replaced}} for row in rows],
        )


async def insert_batch(tx: AsyncConnection, batch: RecordBatch, digest: str | None) -> None:
    await tx.execute(
        insert(record_batches),
        {**{name: getattr(batch, name) for name in RecordBatch.__struct_fields__}, "digest": digest},
    )


async def batch(tx: AsyncConnection, batch_id: str) -> RecordBatch | None:
    row = (await tx.execute(select(record_batches).where(record_batches.c.id == batch_id))).one_or_none()
    return None if row is None else _batch(row._mapping)


async def unfinished(
    tx: AsyncConnection, source_id: str, format_: str, digest: str, since: datetime
) -> RecordBatch | None:
    """The latest import of this content that was begun ``since`` then, and interrupted."""
    columns = record_batches.c
    query = (
        select(record_batches)
        .where(
            columns.source_id == source_id,
            columns.format == format_,
            columns.digest == digest,
            columns.finished_at.is_(None),
            columns.created_at > since,
        )
        .order_by(columns.id.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _batch(row._mapping)


async def advance(tx: AsyncConnection, batch_id: str, first_line: int, verdicts: str) -> bool:
    """Journals the lines from ``first_line`` on. False when somebody else is or was ahead: then nothing is stored."""
    columns = record_batches.c
    counts = {verdict.value: columns[verdict.value] + verdicts.count(letter) for verdict, letter in LETTERS.items()}
    moved = await tx.execute(
        update(record_batches)
        .where(columns.id == batch_id, columns.lines == first_line - 1, columns.finished_at.is_(None))
        .values(lines=columns.lines + len(verdicts), **counts)
    )
    if not moved.rowcount:
        return False
    await tx.execute(
        insert(record_batch_chunks), {"batch_id": batch_id, "first_line": first_line, "verdicts": verdicts}
    )
    return True


async def insert_rejections(tx: AsyncConnection, batch_id: str, rejections: Sequence[RowVerdict]) -> None:
    if rejections:
        await tx.execute(
            insert(record_batch_rejections),
            [{"batch_id": batch_id, "line": r.line, "member": r.member, "code": r.code} for r in rejections],
        )


async def finish(tx: AsyncConnection, batch_id: str, at: datetime) -> None:
    columns = record_batches.c
    await tx.execute(
        update(record_batches).where(columns.id == batch_id, columns.finished_at.is_(None)).values(finished_at=at)
    )


async def remove_lines(tx: AsyncConnection, finished_before: datetime, limit: int) -> int:
    """Removes some of what became of the lines of imports that were finished before this moment; gives how much."""
    old = and_(_made_by(finished_before), record_batches.c.finished_at < finished_before)
    return await _remove_lines(tx, old, limit)


async def remove_batches(tx: AsyncConnection, before: datetime, limit: int) -> int:
    """Removes some of the imports that were begun before this moment, what became of their lines first."""
    old = and_(_made_by(before), record_batches.c.created_at < before)
    removed = await _remove_lines(tx, old, limit)
    return removed + (0 if removed == limit else await delete_some(tx, record_batches, old, limit - removed))


def _made_by(moment: datetime) -> ColumnElement[bool]:
    return record_batches.c.id < id_after("rbt", moment)


async def _remove_lines(tx: AsyncConnection, of: ColumnElement[bool], limit: int) -> int:
    removed = 0
    for table in (record_batch_rejections, record_batch_chunks):
        theirs = table.c.batch_id.in_(select(record_batches.c.id).where(of))
        removed += await delete_some(tx, table, theirs, limit - removed)
    return removed


async def rejections(tx: AsyncConnection, batch_id: str, after_line: int, limit: int) -> list[RowVerdict]:
    """The next rejected rows, in the order of their lines."""
    columns = record_batch_rejections.c
    query = (
        select(columns.line, columns.member, columns.code)
        .where(columns.batch_id == batch_id, columns.line > after_line)
        .order_by(columns.line)
        .limit(limit)
    )
    return [RowVerdict(row.line, Verdict.REJECTED, row.member, row.code) for row in await tx.execute(query)]


async def chunk(tx: AsyncConnection, batch_id: str, after_line: int) -> tuple[int, list[RowVerdict]] | None:
    """The chunk of lines after ``after_line``: its last line, and a verdict for each row in it."""
    columns = record_batch_chunks.c
    query = (
        select(columns.first_line, columns.verdicts)
        .where(columns.batch_id == batch_id, columns.first_line > after_line)
        .order_by(columns.first_line)
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    told = {each.line: each for each in await rejections(tx, batch_id, row.first_line - 1, len(row.verdicts))}
    return row.first_line + len(row.verdicts) - 1, [
        told[line] if letter == LETTERS[Verdict.REJECTED] else RowVerdict(line, _VERDICTS[letter])
        for line, letter in enumerate(row.verdicts, row.first_line)
        if letter != NO_ROW
    ]


def _batch(row: RowMapping) -> RecordBatch:
    return RecordBatch(**{name: row[name] for name in RecordBatch.__struct_fields__})
