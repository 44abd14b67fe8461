"""What time does to consents, written down: the partner's event and the ledger's leaf of an end that nobody caused.

What is valid is computed on read; nothing waits for the sweep. Rows are claimed, so that of several workers each does
its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import XinyiError
from ..storage import outbox
from ..storage.database import Database
from ..telemetry.logs import log_unforeseen
from . import repo
from .events import EXPIRING, told
from .extending import lapse
from .journal import Change, Journal
from .model import Consent, Event, end, warn_at
from .reminders import Reminders

BATCH: Final = 100
"""The most consents that one transaction looks at: checks wait for the ledger meanwhile."""


class ConsentSweep:
    """:meth:`start` it to sweep every ``seconds``; 0 leaves it to other processes.

    ``mail`` sends what other rooms have to say to subjects.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        journal: Journal,
        reminders: Reminders,
        *,
        seconds: int,
        mail: tuple[Callable[[], Awaitable[None]], ...] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._mail = (reminders.send, *mail)
        self._seconds = seconds
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._seconds:
            self._task = asyncio.create_task(self._run(), name="consents.sweep")

    async def stop(self) -> None:
        self._stopped.set()
        if self._task is not None:
            await self._task

    async def run(self) -> int:
        """Does everything that is due at this moment, and sends the mail that waits; gives the number of consents."""
        done = 0
        while (some := await self._some()) and not self._stopped.is_set():
            done += some
        for send in self._mail:
            await send()
        return done

    async def _some(self) -> int:
        async with self._database.transaction() as tx:
            now = whole_seconds(self._clock.now())
            found = await repo.claim_due(tx, now, BATCH)
            changes: list[Change] = []
            for consent in found:
                changes += await self._look(tx, consent, now)
            if changes:
                await self._journal.write(tx, now, *changes)
            return len(found)

    async def _look(self, tx: AsyncConnection, consent: Consent, now: datetime) -> list[Change]:
        """What time has changed about a consent; what leaves no leaf is written here."""
        ended = end(consent, now)
        if ended is None:
            if consent.extension_due_at is not None and consent.extension_due_at <= now:
                return [await lapse(tx, consent)]
            warn = warn_at(consent)
            if consent.warned_at is None and warn is not None and warn <= now:
                warned = replace(consent, warned_at=now)
                await repo.update_one(tx, warned)
                await outbox.put(tx, [told(EXPIRING, warned, now)], now)
            return []
        if consent.ended_as is not None:  # a check used it up, or somebody else ended it
            await repo.update_one(tx, consent)
            return []
        expired = replace(consent, ended_at=ended.at, ended_as=ended.state, ended_by=ended.by, end_reason=ended.reason)
        return [Change(Event.EXPIRED, expired)]

    async def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                await self.run()
            except XinyiError:  # the database is away
                pass
            except Exception as error:  # noqa: BLE001 (a bug in one sweep must not end all)
                log_unforeseen(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), self._seconds)
