"""The worker: one per process. It moves what happened out of the outbox, looks what time brings, and tells it all."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from ..kernel.clock import Clock
from ..kernel.errors import XinyiError
from ..telemetry.logs import log_unforeseen
from .deliveries import Claimed, Deliveries
from .relay import Relay

LOOKS_EVERY: Final = 1.0
"""Seconds: what happened is on its way this soon."""
CHORES_EVERY: Final = timedelta(minutes=1)
"""How often it is looked what time brings, and what is old is removed."""
LAST_MOMENTS: Final = 3.0
"""Seconds that messages on their way have when the server stops; what they bring later is tried again by others."""

Chore = Callable[[], Awaitable[None]]


class EventWorker:
    """:meth:`start` it, and :meth:`stop` it before the database is closed.

    ``chores`` are done once a minute, before the outbox is looked at.
    """

    def __init__(self, clock: Clock, relay: Relay, deliveries: Deliveries, chores: tuple[Chore, ...]) -> None:
        self._clock = clock
        self._relay = relay
        self._deliveries = deliveries
        self._chores = chores
        self._chores_at: datetime | None = None
        self._on_their_way: dict[asyncio.Task[None], Claimed] = {}
        self._turns = asyncio.Lock()
        self._called = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="events.worker")

    async def stop(self) -> None:
        self._stopping = True
        self._called.set()
        if self._task is not None:
            await self._task
        if self._on_their_way:
            await asyncio.wait(self._on_their_way, timeout=LAST_MOMENTS)
        for task in tuple(self._on_their_way):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """There is something to do."""
        self._called.set()

    async def turn(self) -> bool:
        """Does what is to be done now; False when nothing was due. Messages are on their way when this returns."""
        async with self._turns:
            await self._do_chores()
            moved = await self._relay.run()
            claimed = await self._deliveries.claim(self._on_their_way.values())
            for each in claimed:
                task = asyncio.create_task(self._deliver(each), name="events.delivery")
                self._on_their_way[task] = each
                task.add_done_callback(self._back)
            return bool(moved or claimed)

    async def drain(self) -> None:
        """Does all that is to be done now, to the end."""
        while await self.turn() or self._on_their_way:
            if self._on_their_way:
                await asyncio.wait(self._on_their_way)

    async def _do_chores(self) -> None:
        now = self._clock.now()
        if self._chores_at is None or now >= self._chores_at:
            for chore in self._chores:
                await chore()
            self._chores_at = now + CHORES_EVERY

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._deliveries.deliver(claimed)
        except XinyiError:  # the database is away: the delivery will be due again
            pass
        except Exception as error:  # noqa: BLE001 (a bug in one delivery must not end the others)
            log_unforeseen(error)

    def _back(self, task: asyncio.Task[None]) -> None:
        del self._on_their_way[task]
        self._called.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._called.clear()
            try:
                more = True
                while more and not self._stopping:
                    more = await self.turn()
            except XinyiError:  # the database is away
                pass
            except Exception as error:  # noqa: BLE001 (a bug in one turn must not end all events)
                log_unforeseen(error)
            if not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._called.wait(), LOOKS_EVERY)
