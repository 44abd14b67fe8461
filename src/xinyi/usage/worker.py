"""The worker: one per process. Every minute it rolls up what was used."""

import asyncio
from contextlib import suppress
from typing import Final

from ..kernel.errors import XinyiError
from ..telemetry.logs import log_unforeseen
from .service import UsageService

LOOKS_EVERY: Final = 60.0
"""Seconds."""


class UsageWorker:
    """:meth:`start` it, and :meth:`stop` it before the database is closed."""

    def __init__(self, usage: UsageService) -> None:
        self._usage = usage
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="usage.worker")

    async def stop(self) -> None:
        self._stopped.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), LOOKS_EVERY)
                return
            try:
                await self._usage.roll_up()
            except XinyiError:  # the database is away: it is counted later
                pass
            except Exception as error:  # noqa: BLE001 (a bug in one minute must not end all counting)
                log_unforeseen(error)
