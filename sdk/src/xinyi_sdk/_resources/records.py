"""Records, for those who supply them."""

from collections.abc import Iterator
from pathlib import Path

from .._operations import records as operations
from ..models.records import RecordBatch, RecordError
from .base import Resource


class Records(Resource):
    """Records, for those who supply them."""

    def send(self, file: str | Path, *, idempotency_key: str | None = None) -> RecordBatch:
        """Sends a file of rows, NDJSON or CSV, as a source's client; answers when the last row is settled.

        Rows that are rejected stop no others: :meth:`errors` says why. The same file under the same idempotency key
        goes on where an upload was interrupted; the key is made for you, and kept across the retries. Give the client
        a ``timeout`` that fits the size of your files. Raises ``InvalidRequest`` for a CSV header that no row fits.
        """
        return self._driver.run(operations.send(self._engine, file, idempotency_key))

    def get(self, batch_id: str) -> RecordBatch:
        """How far an upload is. Raises ``NotFound``."""
        return self._driver.run(operations.get(self._engine, batch_id))

    def errors(self, batch_id: str) -> Iterator[RecordError]:
        """The rejected rows of an upload, in the order of their lines. Raises ``NotFound``."""
        return self._driver.iterate(lambda cursor: operations.errors(self._engine, batch_id, cursor))
