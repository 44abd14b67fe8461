"""Batches: taken in whole or not at all, answered in turns, told item by item."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks.model import Answered, Ask, Refused, Result
from ..checks.service import CheckService
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_id
from ..scenarios.registry import Registry
from ..storage import idempotency
from ..storage.database import Database
from ..storage.idempotency import Use
from ..storage.kept import AT_ONCE, GRACE
from ..telemetry.logs import log_unforeseen
from . import repo
from .model import LEAST_KEPT, BatchItem, CheckBatch, CheckBatchState, ItemResult
from .repo import Settled

_log = structlog.get_logger(__name__)

TURN: Final = 256
"""The most items of one turn."""
SHORT_TURN: Final = 32
"""The most while calls come: few enough that none waits long behind it."""
STRETCH: Final = 8
"""The most turns' items that a batch gets at once, before others have theirs."""
CHUNK: Final = 2000
"""Items stored in one transaction while an upload is taken in, which calls wait for as well."""


class BatchService:
    """Check batches."""

    def __init__(self, database: Database, clock: Clock, checks: CheckService, scenarios: Registry) -> None:
        self._database = database
        self._clock = clock
        self._checks = checks
        self._scenarios = scenarios
        self._alone: dict[str, int] = {}
        """By batch: up to this number its items are answered one by one, since together they couldn't be stored."""

    async def submit(
        self,
        items: Sequence[BatchItem],
        *,
        partner_id: str,
        client_id: str,
        consent_id: str | None,
        digest: str,
        key: str,
    ) -> CheckBatch:
        """Takes a batch in; gives the one that is there when the idempotency key was used before.

        A batch is kept as long as any of its scenarios lets an answer be kept: after that nothing of it is given again.
        ``items`` are numbered from 1 on. ``consent_id`` is the one that the caller's token is bound to, if it is.
        Raises ``XinyiError``: IDEMPOTENCY_KEY_REUSED, or UNAVAILABLE: then the same upload under the same key goes on.
        """
        now = whole_seconds(self._clock.now())
        new = CheckBatch(
            id=new_id("cbt", self._clock.now()),
            partner_id=partner_id,
            client_id=client_id,
            consent_id=consent_id,
            total=len(items),
            received=0,
            done=0,
            answered=0,
            refused=0,
            created_at=now,
            started_at=None,
            finished_at=None,
            keep_days=self._keep_days(items),
            kept_until=now + timedelta(days=LEAST_KEPT),
        )
        try:
            batch = await self._open(new, digest, key)
        except IntegrityError:  # another request was first with the key: now its batch is there
            batch = await self._open(new, digest, key)
        while batch.state is CheckBatchState.RECEIVING:
            async with self._database.transaction() as tx:
                await repo.receive(tx, batch, items[batch.received : batch.received + CHUNK])
                batch = await self._existing(tx, batch.id)
        return batch

    async def _open(self, new: CheckBatch, digest: str, key: str) -> CheckBatch:
        async with self._database.transaction() as tx:
            used = (await idempotency.find(tx, {(new.partner_id, key)})).get((new.partner_id, key))
            if used is not None:
                used.require_same(digest)
                if (found := await repo.find(tx, used.resource, self._clock.now())) is not None:
                    return found
            await repo.add(tx, new)
            if used is None:
                await idempotency.store(tx, [Use(new.partner_id, key, digest, new.id)], new.created_at)
            else:
                await idempotency.renew(tx, used, new.id, new.created_at)
            return new

    def _keep_days(self, items: Sequence[BatchItem]) -> int:
        asked = {item.request.scenario for item in items}
        return max([LEAST_KEPT, *(each.retention_days for each in self._scenarios.versions() if each.id in asked)])

    async def get(self, batch_id: str, *, partner_id: str, consent_id: str | None) -> CheckBatch:
        """One of the partner's own batches; a token that is bound to a consent sees those that it made alone.

        Raises ``XinyiError(NOT_FOUND)``.
        """
        async with self._database.read() as tx:
            batch = await repo.find(tx, batch_id, self._clock.now())
        if batch is None or batch.partner_id != partner_id or consent_id not in {None, batch.consent_id}:
            raise XinyiError(Code.NOT_FOUND)
        return batch

    async def outcomes(self, batch: CheckBatch, *, client_id: str) -> dict[str, int]:
        """How many answers have each outcome, as far as they are given again: see :meth:`CheckService.again`."""
        async with self._database.read() as tx:
            readable = await self._checks.readable(tx, client_id=client_id, since=batch.started_at or batch.created_at)
            return await repo.outcomes(tx, batch.id, readable)

    async def results(
        self, batch_id: str, *, client_id: str, after: int, limit: int
    ) -> tuple[CheckBatch, list[ItemResult]]:
        """The next items that are done, in order, as this client of the partner is told them; and the batch by then."""
        async with self._database.read() as tx:
            batch = await self._existing(tx, batch_id)
            found = (
                await repo.settled(tx, batch.id, after, min(limit, batch.done - after)) if batch.done > after else []
            )
            made = {row.check_id for _, row in found if row.check_id is not None}
            answers = await self._checks.again(tx, made, client_id=client_id)
        return batch, [ItemResult(item, _result(row, answers)) for item, row in found]

    async def sweep(self) -> int:
        """Removes the batches that are kept no longer, a part at a time; gives how many rows that were."""
        async with self._database.read() as tx:
            gone = await repo.kept_no_longer(tx, self._clock.now() - GRACE)
        removed = 0
        for batch_id in gone:
            some = AT_ONCE
            while some == AT_ONCE:
                async with self._database.transaction() as tx:
                    some = await repo.remove_some(tx, batch_id, AT_ONCE)
                removed += some
        return removed

    async def waits(self) -> bool:
        """Whether any batch has items to answer."""
        async with self._database.read() as tx:
            return await repo.waits(tx)

    async def turn(self, short: bool = False, goes_on: Callable[[], bool] = lambda: False) -> bool:
        """Answers the next items of the batch that has had the least. False when none waits, or others are at it.

        The answers, their checks and their leaves are stored in one transaction, so that each item is done once
        whatever happens to this process. What can't be stored together is tried again item by item, and an item that
        can't be stored alone is refused alone. As long as ``goes_on`` says so, more of the batch follows, in
        transactions of its own. Raises ``XinyiError(UNAVAILABLE)``: then nothing was done.
        """
        batch: CheckBatch | None = None
        try:
            async with self._database.transaction() as tx:
                batch = await repo.claim(tx)
                if batch is not None:
                    limit = SHORT_TURN if short else TURN
                    await self._answer(tx, batch, 1 if self._is_alone(batch) else limit)
        except (XinyiError, OSError):  # it isn't the items' fault (and a TimeoutError is an OSError)
            raise
        except Exception as error:
            if batch is None:
                raise
            if not self._is_alone(batch):
                self._alone[batch.id] = batch.done + TURN
            else:
                log_unforeseen(error)
                await self._give_up_next(batch)
        else:
            if batch is not None and not short and not self._is_alone(batch):
                await self._go_on(batch, goes_on)
        return batch is not None

    async def _go_on(self, batch: CheckBatch, goes_on: Callable[[], bool]) -> None:
        """Answers what follows a turn's items, each turn's worth being evaluated while the one before is being stored.

        It ends where one can't be stored: the next turn begins there, and says why.
        """
        before: asyncio.Task[None] | None = None
        for done in range(batch.done + TURN, batch.total, TURN)[: STRETCH - 1]:
            if not goes_on():
                break
            evaluated = asyncio.Event()
            following = asyncio.create_task(self._follow(batch, done, before, evaluated))
            if before is not None:
                await before
            # The one after this waits for it, and mustn't hold any consent that this one has still to lock.
            await evaluated.wait()
            before = following
        if before is not None:
            await before

    async def _follow(
        self, batch: CheckBatch, done: int, before: asyncio.Task[None] | None, evaluated: asyncio.Event
    ) -> None:
        """Answers the items after ``done``, if by then it is so many that are done, and nobody else is at the batch."""

        async def its_turn() -> None:
            evaluated.set()
            if before is not None:
                await before

        try:
            async with self._database.transaction() as tx:
                results = await self._results(tx, batch, done, TURN, after=its_turn)
                now = await repo.lock(tx, batch.id, skip_locked=True)
                if now is None or now.done != done:
                    raise _Overtaken
                await repo.settle(tx, now, results, whole_seconds(self._clock.now()))
        except Exception as error:  # noqa: BLE001 (nothing was done: the next turn meets the same, and deals with it)
            _log.info("batch_stretch_ended", reason=type(error).__name__)
        finally:
            evaluated.set()

    def _is_alone(self, batch: CheckBatch) -> bool:
        return batch.done < self._alone.get(batch.id, 0)

    async def _answer(self, tx: AsyncConnection, batch: CheckBatch, limit: int) -> None:
        results = await self._results(tx, batch, batch.done, limit)
        await repo.settle(tx, batch, results, whole_seconds(self._clock.now()))

    async def _results(
        self,
        tx: AsyncConnection,
        batch: CheckBatch,
        done: int,
        limit: int,
        *,
        after: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Settled]:
        items = await repo.items(tx, batch.id, done, limit)
        asks = [
            Ask(
                client_id=batch.client_id,
                partner_id=batch.partner_id,
                bound_consent_id=batch.consent_id,
                request=item.request,
            )
            for item in items
        ]
        results = await self._checks.run_within(tx, asks, after=after)
        return [_settled(item.number, result) for item, result in zip(items, results, strict=True)]

    async def _give_up_next(self, batch: CheckBatch) -> None:
        """Refuses the next item as what a call would be told: nothing was answered, and nothing was used up."""
        async with self._database.transaction() as tx:
            now = await repo.lock(tx, batch.id)
            if now is not None and now.done == batch.done:  # else another worker could do it
                refused = _settled(batch.done + 1, Refused(Code.UNAVAILABLE))
                await repo.settle(tx, now, [refused], whole_seconds(self._clock.now()))

    async def _existing(self, tx: AsyncConnection, batch_id: str) -> CheckBatch:
        batch = await repo.find(tx, batch_id, self._clock.now())
        if batch is None:
            raise XinyiError(Code.NOT_FOUND)
        return batch


class _Overtaken(Exception):
    """What was expected to be done isn't, or others have done more."""


def _settled(number: int, result: Result) -> Settled:
    if isinstance(result, Answered):
        return Settled(number=number, check_id=result.check_id, outcome=result.outcome, refusal=None, source=None)
    return Settled(number=number, check_id=result.check_id, outcome=None, refusal=result.code, source=result.source)


def _result(row: Settled, answers: dict[str, Result]) -> Result:
    if row.refusal is not None:
        return Refused(Code(row.refusal), row.check_id, row.source)
    assert row.check_id is not None, "an answer has its check"
    return answers.get(row.check_id) or Refused(Code.CONSENT_EXPIRED, row.check_id)  # checks are removed after years
