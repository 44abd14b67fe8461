# Written by tools/sdk_async.py from _resources/records.py: edit that, then run 'make sdk-async'.
"""Records, for those who supply them."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from .._operations import records as operations
from ..models.consents import Subject
from ..models.records import (
    Correction,
    Dispute,
    RecordBatch,
    RecordError,
    Repaired,
    RepairedRecord,
    SourceRecord,
)
from .base import Resource


class AsyncRecords(Resource):
    """Records, for those who supply them."""

    async def send(self, file: str | Path, *, idempotency_key: str | None = None) -> RecordBatch:
        """Sends a file of rows, NDJSON or CSV, as a source's client; answers when the last row is settled.

        Rows that are rejected stop no others: :meth:`errors` says why. The same file under the same idempotency key
        goes on where an upload was interrupted; the key is made for you, and kept across the retries. Give the client
        a ``timeout`` that fits the size of your files. Raises ``InvalidRequest`` for a CSV header that no row fits.
        """
        return await self._driver.run(operations.send(self._engine, file, idempotency_key))

    async def get(self, batch_id: str) -> RecordBatch:
        """How far an upload is. Raises ``NotFound``."""
        return await self._driver.run(operations.get(self._engine, batch_id))

    def errors(self, batch_id: str) -> AsyncIterator[RecordError]:
        """The rejected rows of an upload, in the order of their lines. Raises ``NotFound``."""
        return self._driver.iterate(lambda cursor: operations.errors(self._engine, batch_id, cursor))

    def list(self, *, source_ref: str | None = None) -> AsyncIterator[SourceRecord]:
        """The records that you sent, in the order of their ``source_ref``; or the one of that number."""
        return self._driver.iterate(lambda cursor: operations.list_records(self._engine, source_ref, cursor))

    async def correct(self, record_id: str, correction: Correction) -> SourceRecord:
        """Puts a record right: the next check sees it, and an open dispute is settled by it. Raises ``NotFound``."""
        return await self._driver.run(operations.correct(self._engine, record_id, correction))

    async def withdraw(self, record_id: str) -> None:
        """Takes a record back: nothing says afterwards that it was there. Raises ``NotFound``."""
        return await self._driver.run(operations.withdraw(self._engine, record_id))

    async def repair(
        self, *, subject: Subject | str, record_types: Sequence[str], records: Sequence[RepairedRecord] = ()
    ) -> Repaired:
        """Tells that a subject's credit was repaired 信用修复: what you sent of these types is dropped.

        ``records`` count instead. Sending it again changes nothing. Raises ``InvalidRequest``.
        """
        return await self._driver.run(operations.repair(self._engine, subject, record_types, records))


class AsyncDisputes(Resource):
    """Records that their subjects contest, for those who supplied them."""

    def list(self, *, state: str | None = None) -> AsyncIterator[Dispute]:
        """The disputes about your records, oldest first: those that wait for you with ``state="open"``, or all."""
        return self._driver.iterate(lambda cursor: operations.disputes(self._engine, state, cursor))

    async def answer(
        self, dispute_id: str, *, outcome: str, answer: str, correction: Correction | None = None
    ) -> Dispute:
        """Settles a dispute: ``upheld``, ``withdrawn``, or ``corrected`` with the ``correction``.

        ``answer`` is what the subject is told. Raises ``NotFound``, ``WrongState`` or ``InvalidRequest``.
        """
        return await self._driver.run(operations.answer(self._engine, dispute_id, outcome, answer, correction))
