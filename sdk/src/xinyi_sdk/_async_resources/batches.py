# Written by tools/sdk_async.py from _resources/batches.py: edit that, then run 'make sdk-async'.
"""Many checks as one job."""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from .._operations import batches as operations
from ..models.batches import Batch, BatchItem, Question
from .base import Resource


class AsyncBatches(Resource):
    """Many checks as one job."""

    async def submit(
        self,
        *,
        items: Iterable[Question] | None = None,
        file: str | Path | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Sends up to 100,000 questions, given as ``items`` or as a ``file`` of NDJSON, CSV or JSON.

        They are answered in the background, each as ``checks.create`` would be at that moment, and each once. A batch
        is taken in whole or not at all: ``InvalidRequest`` names the items that can't be in ``problem["errors"]``.
        The idempotency key is made for you and kept across the retries; give one only to make a call repeatable after
        your own crash.
        """
        return await self._driver.run(operations.submit(self._engine, items, file, idempotency_key))

    async def get(self, batch_id: str) -> Batch:
        """How far a batch is. Raises ``NotFound``."""
        return await self._driver.run(operations.get(self._engine, batch_id))

    async def wait(self, batch_id: str, *, progress: Callable[[Batch], object] | None = None) -> Batch:
        """Waits until a batch is finished. ``progress`` is called with each look at it. Raises ``NotFound``."""
        return await self._driver.run(operations.wait(self._engine, batch_id, progress))

    def items(self, batch_id: str, *, after: int = 0) -> AsyncIterator[BatchItem]:
        """The items that are done by now, in their order, from the one behind number ``after``.

        An item whose consent was withdrawn since comes with the error, whatever was answered before. Raises
        ``NotFound``.
        """
        return self._driver.iterate(lambda cursor: operations.items(self._engine, batch_id, cursor), str(after))

    def follow(self, batch_id: str, *, after: int = 0) -> AsyncIterator[BatchItem]:
        """As :meth:`items`, and then those that are done later, to the end of the batch.

        After an interruption, ``after`` goes on behind the last number that you have.
        """
        return self._driver.iterate(lambda cursor: operations.following(self._engine, batch_id, cursor), str(after))

    async def run(
        self,
        *,
        out: str | Path,
        items: Iterable[Question] | None = None,
        file: str | Path | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Batch:
        """Sends questions, and writes what became of each to ``out``, one item a line; to the end of the batch.

        The same call goes on after your own crash, wherever that was: ``out`` and the file ``….batch`` beside it hold
        all that is needed. One process at a time may write an output. ``progress`` is called with the number of items
        done and their total. Raises ``ValueError`` when ``out`` is the output of other questions.
        """
        return await self._driver.run(operations.run(self._engine, out, items, file, progress))
