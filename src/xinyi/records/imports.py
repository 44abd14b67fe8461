"""Imports: many rows from one source, in chunks, each chunk one transaction with its place in the journal.

Whatever stops an import, every chunk that was told as committed is there, and the next one is where it goes on. A bad
row is rejected with a code and never stops the others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from typing import IO, Any, Final

from msgspec import Struct
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_id, new_ids
from ..partners.model import Source
from ..partners.service import PartnerService
from ..storage import idempotency
from ..storage.database import Database
from ..storage.kept import AT_ONCE, AUDIT_KEPT, GRACE
from ..subjects.service import SubjectService
from . import journal, turns
from .checking import Checked, RowChecker
from .journal import LETTERS, NO_ROW, Known
from .keeping_off import KeptOff
from .lines import LineSplitter
from .merging import decide
from .model import LINES_KEPT, RecordBatch, RowProblem, RowRefused, RowVerdict, Verdict
from .rows import Format, RowReader, reader_of

CHUNK: Final = 500
"""Rows in one transaction: enough to be quick, few enough that checks never wait long for the database."""
CHUNK_LINES: Final = 20_000
"""Lines in one transaction, blank ones included."""
BREATH: Final = 4
"""Lines read without a break: each statement of the chunk that is being stored meanwhile waits for some of them."""
BLOCK: Final = 256 * 1024
"""Bytes read at a time."""

Progress = Callable[[RecordBatch], None]


class _Line(Struct, frozen=True):
    """One line, read and checked: a row that may be stored, a refusal, or nothing."""

    number: int
    row: Checked | None = None
    refused: RowRefused | None = None


class RecordImports:
    """Imports of records and their journal."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        subjects: SubjectService,
        catalogue: Catalogue,
        partners: PartnerService,
        kept_off: KeptOff,
    ) -> None:
        self._database = database
        self._clock = clock
        self._subjects = subjects
        self._catalogue = catalogue
        self._partners = partners
        self._kept_off = kept_off

    async def open(self, source_id: str, format_: Format, digest: str | None) -> RecordBatch:
        """A batch to :meth:`run`: the one that was interrupted, when ``digest`` names its content, or a new one.

        Raises ``XinyiError``: NOT_FOUND (the source) or PARTNER_SUSPENDED.
        """
        async with self._database.transaction() as tx:
            await self._active_source(tx, source_id)
            if digest is not None:
                found = await journal.unfinished(tx, source_id, format_, digest, self._clock.now() - AUDIT_KEPT)
                if found is not None:
                    return found
            return await self._new_batch(tx, source_id, format_, digest)

    async def open_once(self, source_id: str, format_: Format, digest: str, key: str) -> RecordBatch:
        """The batch of an idempotency key: new at its first use, the same after that, finished or not.

        Raises ``XinyiError``: IDEMPOTENCY_KEY_REUSED for another content, or as :meth:`open`.
        """
        try:
            async with self._database.transaction() as tx:
                return await self._batch_of_key(tx, source_id, format_, digest, key)
        except IntegrityError:  # another request was first with the key: now its batch is there
            async with self._database.transaction() as tx:
                return await self._batch_of_key(tx, source_id, format_, digest, key)

    async def run(self, batch: RecordBatch, file: IO[bytes], committed: Progress | None = None) -> RecordBatch:
        """Imports what the batch hasn't yet of ``file``, to the end, and says how it went.

        ``committed`` is called after each chunk that is safely stored. Raises ``XinyiError``: INVALID (a CSV header
        that no row fits), WRONG_STATE (the same batch is being imported by somebody else), PARTNER_SUSPENDED or
        UNAVAILABLE.
        """
        if batch.finished:
            return batch
        async with self._database.read() as tx:
            source = await self._active_source(tx, batch.source_id)
        reader = reader_of(Format(batch.format))
        checker = RowChecker(
            self._subjects,
            self._catalogue,
            source.record_types,
            from_text=reader.from_text,
            now=self._clock.now(),
        )
        done = batch.lines
        storing: asyncio.Task[RecordBatch] | None = None

        async def stored() -> RecordBatch:
            now = batch if storing is None else await storing
            if committed is not None and now is not batch:
                committed(now)
            return now

        try:
            async for chunk in _chunks(file):  # a chunk is read while the one before it is being stored
                lines = await _read(chunk, reader, checker, done)
                fresh = [line for line in lines if line.number > done]
                if fresh:
                    batch = await stored()
                    storing = asyncio.create_task(self._commit(batch, fresh))
            batch = await stored()
        finally:
            if storing is not None:
                await asyncio.wait([storing])
        async with self._database.transaction() as tx:
            await journal.finish(tx, batch.id, whole_seconds(self._clock.now()))
            return await self._batch(tx, batch.id)

    async def batch(self, source_id: str, batch_id: str) -> RecordBatch:
        """A source's own batch. Raises ``XinyiError(NOT_FOUND)``, also for another source's."""
        async with self._database.read() as tx:
            found = await self._batch(tx, batch_id)
        if found.source_id != source_id or not found.is_kept(self._clock.now()):
            raise XinyiError(Code.NOT_FOUND)
        return found

    async def rejections(self, batch: RecordBatch, *, after_line: int, limit: int) -> list[RowVerdict]:
        """The next rejected rows of a batch, in the order of their lines.

        Raises ``XinyiError(NOT_FOUND)`` when what became of its lines is kept no longer.
        """
        if not batch.lines_are_kept(self._clock.now()):
            raise XinyiError(Code.NOT_FOUND)
        async with self._database.read() as tx:
            return await journal.rejections(tx, batch.id, after_line, limit)

    async def report(self, batch_id: str) -> AsyncIterator[RowVerdict]:
        """A verdict for each row so far, in the order of the lines, those of an interrupted run included."""
        last_line = 0
        while True:
            async with self._database.read() as tx:
                found = await journal.chunk(tx, batch_id, last_line)
            if found is None:
                return
            last_line, verdicts = found
            for verdict in verdicts:
                yield verdict

    async def sweep(self) -> int:
        """Removes what is kept no longer of imports, a part at a time; gives how many rows that were."""
        before = self._clock.now() - GRACE
        removed = 0
        for remove, kept in ((journal.remove_lines, LINES_KEPT), (journal.remove_batches, AUDIT_KEPT)):
            some = AT_ONCE
            while some == AT_ONCE:
                async with self._database.transaction() as tx:
                    some = await remove(tx, before - kept, AT_ONCE)
                removed += some
        return removed

    async def _batch_of_key(
        self, tx: AsyncConnection, source_id: str, format_: Format, digest: str, key: str
    ) -> RecordBatch:
        await self._active_source(tx, source_id)
        used = (await idempotency.find(tx, [(source_id, key)])).get((source_id, key))
        if used is not None:
            used.require_same(digest)
            found = await journal.batch(tx, used.resource)
            if found is not None and found.is_kept(self._clock.now()):
                return found
        batch = await self._new_batch(tx, source_id, format_, digest)
        if used is None:
            await idempotency.store(tx, [idempotency.Use(source_id, key, digest, batch.id)], batch.created_at)
        else:
            await idempotency.renew(tx, used, batch.id, batch.created_at)
        return batch

    async def _new_batch(self, tx: AsyncConnection, source_id: str, format_: Format, digest: str | None) -> RecordBatch:
        now = self._clock.now()
        batch = RecordBatch(
            id=new_id("rbt", now),
            source_id=source_id,
            format=format_.value,
            lines=0,
            accepted=0,
            updated=0,
            unchanged=0,
            superseded=0,
            rejected=0,
            created_at=whole_seconds(now),
            finished_at=None,
        )
        await journal.insert_batch(tx, batch, digest)
        return batch

    async def _batch(self, tx: AsyncConnection, batch_id: str) -> RecordBatch:
        found = await journal.batch(tx, batch_id)
        if found is None:
            raise XinyiError(Code.NOT_FOUND)
        return found

    async def _active_source(self, tx: AsyncConnection, source_id: str) -> Source:
        source = await self._partners.source(tx, source_id)
        if not source.active:
            raise XinyiError(Code.PARTNER_SUSPENDED, "the source is suspended")
        return source

    async def _commit(self, batch: RecordBatch, lines: Sequence[_Line]) -> RecordBatch:
        """Stores a chunk. A row that the database itself refuses is found by halving, so that the others get in."""
        try:
            return await self._store(batch, lines)
        except DBAPIError:
            if len(lines) > 1:
                middle = len(lines) // 2
                batch = await self._commit(batch, lines[:middle])
                return await self._commit(batch, lines[middle:])
            refused = RowRefused(None, RowProblem.NOT_STORABLE)
            return await self._store(batch, [_Line(lines[0].number, refused=refused)])

    async def _store(self, batch: RecordBatch, lines: Sequence[_Line]) -> RecordBatch:
        rows = [line.row for line in lines if line.row is not None]
        async with self._database.transaction() as tx:
            await turns.of_source(tx, batch.source_id)
            await self._active_source(tx, batch.source_id)
            subject_ids = await self._subjects.ensure_many(tx, [row.identifier for row in rows])
            known = await journal.known(tx, batch.source_id, {row.source_ref for row in rows})
            now = self._clock.now()
            changes = _Changes(batch.source_id, known, now, iter(new_ids("rec", now, len(rows))))
            letters: list[str] = []
            rejections: list[RowVerdict] = []
            for line in lines:
                try:
                    letters.append(_settle(line, subject_ids, changes))
                except RowRefused as refused:
                    letters.append(LETTERS[Verdict.REJECTED])
                    rejections.append(RowVerdict(line.number, Verdict.REJECTED, refused.member, refused.code.value))
            if not await journal.advance(tx, batch.id, lines[0].number, "".join(letters)):
                raise XinyiError(Code.WRONG_STATE, "this batch is being imported already")
            await journal.insert_rejections(tx, batch.id, rejections)
            await self._kept_off.store(tx, changes.inserts(), changes.updates())
            return await self._batch(tx, batch.id)


class _Changes:
    """What one chunk does to the records, the later of two rows with one source_ref seeing the earlier."""

    def __init__(self, source_id: str, known: dict[str, Known], at: datetime, new_ids: Iterator[str]) -> None:
        self._source_id = source_id
        self._before = known
        self._now = dict(known)
        self._at = at
        self._new_ids = new_ids
        self._written: dict[str, dict[str, Any]] = {}

    def apply(self, row: Checked, subject_id: str) -> Verdict:
        known = self._now.get(row.source_ref)
        verdict = decide(row, subject_id, known)
        if verdict in {Verdict.ACCEPTED, Verdict.UPDATED}:
            record_id = next(self._new_ids) if known is None else known.id
            self._now[row.source_ref] = Known(record_id, subject_id, row.record_type, row.observed_at, row.digest)
            self._written[row.source_ref] = {
                "id": record_id,
                "subject_id": subject_id,
                "record_type": row.record_type,
                "source_id": self._source_id,
                "source_ref": row.source_ref,
                "region": row.region,
                "observed_at": row.observed_at,
                "valid_until": row.valid_until,
                "fields": row.fields,
                "digest": row.digest,
                "disputed_at": None,
                "suppressed_at": None,
                "imported_at": self._at,
            }
        return verdict

    def inserts(self) -> list[dict[str, Any]]:
        return [values for ref, values in self._written.items() if ref not in self._before]

    def updates(self) -> list[dict[str, Any]]:
        return [values for ref, values in self._written.items() if ref in self._before]


def _settle(line: _Line, subject_ids: dict[Any, str], changes: _Changes) -> str:
    if line.refused is not None:
        raise line.refused
    if line.row is None:
        return NO_ROW
    return LETTERS[changes.apply(line.row, subject_ids[line.row.identifier])]


async def _read(
    chunk: Sequence[tuple[int, bytes | None]], reader: RowReader, checker: RowChecker, done: int
) -> list[_Line]:
    """The lines of a chunk. Whoever else waits for this process, checks among them, goes on in between."""
    lines = []
    for place, (number, line) in enumerate(chunk):
        if not place % BREATH:
            await asyncio.sleep(0)
        lines.append(_read_one(number, line, reader, checker, skip=number <= done))
    return lines


def _read_one(number: int, line: bytes | None, reader: RowReader, checker: RowChecker, *, skip: bool) -> _Line:
    """``skip``: the line is done, and read only where the reader needs it: it may be the header."""
    if skip and number > 1:
        return _Line(number)
    try:
        row = reader.read(line)
        return _Line(number) if row is None or skip else _Line(number, checker.check(row))
    except RowRefused as refused:
        return _Line(number, refused=refused)


async def _chunks(file: IO[bytes]) -> AsyncIterator[list[tuple[int, bytes | None]]]:
    """The file's lines with their numbers, in groups of at most :data:`CHUNK` that aren't blank."""
    splitter = LineSplitter()
    waiting: list[tuple[int, bytes | None]] = []
    number = rows = 0
    at_end = False
    while not at_end:
        block = await asyncio.to_thread(file.read, BLOCK)
        at_end = not block
        for line in splitter.end() if at_end else splitter.feed(block):
            number += 1
            rows += line is None or bool(line.strip())
            waiting.append((number, line))
            if rows == CHUNK or len(waiting) == CHUNK_LINES:
                yield waiting
                waiting, rows = [], 0
    if waiting:
        yield waiting
