"""The queries about batches."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks.model import CheckRequest
from ..consents.model import ConsentState
from ..consents.tables import consents
from ..storage.sql import Prepared, delete_some, insert_rows
from .model import BatchItem, CheckBatch
from .tables import check_batch_items, check_batch_results, check_batches

_i: Final = check_batch_items.c
_r: Final = check_batch_results.c


class Settled(Struct, frozen=True, kw_only=True):
    """What became of one item."""

    number: int
    check_id: str | None
    outcome: str | None
    refusal: str | None
    source: str | None


async def add(tx: AsyncConnection, batch: CheckBatch) -> None:
    await tx.execute(insert(check_batches), asdict(batch))


async def find(tx: AsyncConnection, batch_id: str, at: datetime) -> CheckBatch | None:
    """The batch, unless it is kept no longer at this moment."""
    kept = or_(check_batches.c.kept_until.is_(None), check_batches.c.kept_until > at)
    return await _one(tx, select(check_batches).where(check_batches.c.id == batch_id, kept))


async def receive(tx: AsyncConnection, batch: CheckBatch, items: Sequence[BatchItem]) -> bool:
    """Stores the next items. False when somebody else is or was ahead: then nothing is stored.

    With the last one the batch waits for its turn, however long that takes.
    """
    columns = check_batches.c
    received = items[-1].number
    moved = await tx.execute(
        update(check_batches)
        .where(columns.id == batch.id, columns.received == items[0].number - 1)
        .values(received=received, kept_until=None if received == batch.total else batch.kept_until)
    )
    if not moved.rowcount:
        return False
    rows = [
        (batch.id, item.number, item.request.scenario, item.request.consent_id, item.request.reference)
        for item in items
    ]
    await insert_rows(tx, check_batch_items, rows)
    return True


def _unfinished() -> Select[Any]:
    """Batches with items to answer, the one that has had the least first: a short one never waits for a long one."""
    columns = check_batches.c
    return (
        select(check_batches)
        .where(columns.finished_at.is_(None), columns.received == columns.total)
        .order_by(columns.done, columns.id)
        .limit(1)
    )


async def waits(tx: AsyncConnection) -> bool:
    """Whether a batch has items to answer."""
    return (await tx.execute(_unfinished())).first() is not None


async def claim(tx: AsyncConnection) -> CheckBatch | None:
    """A batch with items to answer that nobody else is at, locked until ``tx`` ends: no claim outlives its worker."""
    return await _one(tx, _unfinished().with_for_update(skip_locked=True))


_FIELDS: Final = CheckBatch.__struct_fields__
_known: Final = select(*(check_batches.c[name] for name in _FIELDS)).where(check_batches.c.id == bindparam("batch_id"))
_lock: Final = Prepared(lambda _: _known.with_for_update())
_lock_if_free: Final = Prepared(lambda _: _known.with_for_update(skip_locked=True))


async def lock(tx: AsyncConnection, batch_id: str, *, skip_locked: bool = False) -> CheckBatch | None:
    """The batch, locked until ``tx`` ends; with ``skip_locked``, ``None`` when somebody else holds it."""
    rows = await (_lock_if_free if skip_locked else _lock).fetch(tx, batch_id=batch_id)
    return CheckBatch(**dict(zip(_FIELDS, rows[0], strict=True))) if rows else None


_items: Final = Prepared(
    lambda _: (
        select(_i.number, _i.scenario_id, _i.consent_id, _i.reference)
        .where(_i.batch_id == bindparam("batch_id"), _i.number > bindparam("after"), _i.number <= bindparam("upto"))
        .order_by(_i.number)
    )
)


async def items(tx: AsyncConnection, batch_id: str, after: int, limit: int) -> list[BatchItem]:
    """The next items, in order."""
    rows = await _items.fetch(tx, batch_id=batch_id, after=after, upto=after + limit)
    return [BatchItem(number, CheckRequest(scenario, consent_id, ref)) for number, scenario, consent_id, ref in rows]


async def settled(tx: AsyncConnection, batch_id: str, after: int, limit: int) -> list[tuple[BatchItem, Settled]]:
    """The next items that are done with what became of them, in order."""
    rows = await tx.execute(
        select(_i.number, _i.scenario_id, _i.consent_id, _i.reference, _r.check_id, _r.outcome, _r.refusal, _r.source)
        .join_from(check_batch_items, check_batch_results, (_r.batch_id == _i.batch_id) & (_r.number == _i.number))
        .where(_i.batch_id == batch_id, _i.number > after, _i.number <= after + limit)
        .order_by(_i.number)
    )
    return [
        (
            BatchItem(number, CheckRequest(scenario, consent_id, reference)),
            Settled(number=number, check_id=check_id, outcome=outcome, refusal=refusal, source=source),
        )
        for number, scenario, consent_id, reference, check_id, outcome, refusal, source in rows
    ]


_MOVED: Final = ("done", "answered", "refused", "started_at", "finished_at", "kept_until")
_move: Final = Prepared(
    lambda _: (
        update(check_batches)
        .where(check_batches.c.id == bindparam("batch_id"))
        .values({name: bindparam(name) for name in _MOVED})
    )
)


async def settle(tx: AsyncConnection, batch: CheckBatch, results: Sequence[Settled], at: datetime) -> None:
    """Stores what became of the next items. The caller holds the batch's lock."""
    await insert_rows(
        tx,
        check_batch_results,
        [(batch.id, each.number, each.check_id, each.outcome, each.refusal, each.source) for each in results],
    )
    refused = sum(each.refusal is not None for each in results)
    done = batch.done + len(results)
    is_last = done == batch.total
    await _move.execute(
        tx,
        batch_id=batch.id,
        done=done,
        answered=batch.answered + len(results) - refused,
        refused=batch.refused + refused,
        started_at=batch.started_at or at,
        finished_at=at if is_last else None,
        kept_until=batch.kept_after(at) if is_last else None,
    )


async def outcomes(tx: AsyncConnection, batch_id: str, scenarios: Collection[str]) -> dict[str, int]:
    """How many items of these scenarios have each outcome, without those whose consent is withdrawn or paused."""
    counted = await tx.execute(
        select(_r.outcome, func.count())
        .join_from(check_batch_results, check_batch_items, (_i.batch_id == _r.batch_id) & (_i.number == _r.number))
        .join(consents, consents.c.id == _i.consent_id)
        .where(
            _r.batch_id == batch_id,
            _r.outcome.is_not(None),
            _i.scenario_id.in_(scenarios),
            consents.c.ended_as.is_distinct_from(ConsentState.WITHDRAWN.value),
            consents.c.paused_at.is_(None),
        )
        .group_by(_r.outcome)
    )
    return {str(outcome): count for outcome, count in counted}


async def kept_no_longer(tx: AsyncConnection, at: datetime) -> list[str]:
    """The batches that were kept until this moment, or less long."""
    return list((await tx.execute(select(check_batches.c.id).where(check_batches.c.kept_until <= at))).scalars())


async def remove_some(tx: AsyncConnection, batch_id: str, limit: int) -> int:
    """Removes at most ``limit`` of the batch's rows, its own the last; 0 when none is left."""
    removed = 0
    for table in (check_batch_results, check_batch_items):
        removed += await delete_some(tx, table, table.c.batch_id == batch_id, limit - removed)
    if removed < limit:
        removed += (await tx.execute(delete(check_batches).where(check_batches.c.id == batch_id))).rowcount
    return removed


async def _one(tx: AsyncConnection, wanted: Select[Any]) -> CheckBatch | None:
    row = (await tx.execute(wanted)).one_or_none()
    return None if row is None else CheckBatch(**row._mapping)
