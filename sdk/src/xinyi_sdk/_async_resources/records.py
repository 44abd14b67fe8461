# Written by tools/sdk_async.py from _resources/records.py: edit that, then run 'make sdk-async'.
"""Records, for those who supply them."""

from collections.abc import AsyncIterator
from pathlib import Path

from .._operations import records as operations
from ..models.records import RecordBatch, RecordError
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
