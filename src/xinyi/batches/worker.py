"""The worker: one per process. It asks the engine for turns as long as a batch waits, and calls go first."""

import asyncio
from contextlib import suppress
from typing import Final

from ..checks.engine import Engine
from ..kernel.errors import XinyiError
from ..telemetry.logs import log_unforeseen
from .service import BatchService

LOOKS_EVERY: Final = 2.0
"""Seconds: what other processes took in, or left behind when they died, is found this soon."""
RESTS: Final = 1.0
"""Seconds of rest after a turn that failed."""


class BatchWorker:
    """:meth:`start` it after the engine; :meth:`stop` it before the engine, which lets a turn that runs finish."""

    def __init__(self, batches: BatchService, engine: Engine) -> None:
        self._batches = batches
        self._engine = engine
        self._called = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="batches.worker")

    async def stop(self) -> None:
        self._stopping = True
        self._called.set()
        if self._task is not None:
            await self._task

    def wake(self) -> None:
        """A batch was taken in."""
        self._called.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._called.clear()
            try:
                more = await self._batches.waits()
                while more and not self._stopping:
                    more = await self._engine.between(self._batches.turn)
                pause = LOOKS_EVERY
            except XinyiError:  # the database is away
                pause = RESTS
            except Exception as error:  # noqa: BLE001 (a bug in one turn must not end all batches)
                log_unforeseen(error)
                pause = RESTS
            if not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._called.wait(), pause)
