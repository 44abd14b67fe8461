"""The queries about batches."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Select, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks.model import CheckRequest
from ..consents.model import ConsentState
from ..consents.tables import consents
from .model import BatchItem, CheckBatch
from .tables import check_batch_items, check_batches


class Settled(Struct, frozen=True, kw_only=True):
    """What became of one item."""

    number: int
    check_id: str | None
    outcome: str | None
    refusal: str | None
    source: str | None


async def add(tx: AsyncConnection, batch: CheckBatch) -> None:
    await tx.execute(insert(check_batches), asdict(batch))


async def find(tx: AsyncConnection, batch_id: str) -> CheckBatch | None:
    return await _one(tx, select(check_batches).where(check_batches.c.id == batch_id))


async def receive(tx: AsyncConnection, batch_id: str, items: Sequence[BatchItem]) -> bool:
    """Stores the next items. False when somebody else is or was ahead: then nothing is stored."""
    columns = check_batches.c
    moved = await tx.execute(
        update(check_batches)
        .where(columns.id == batch_id, columns.received == items[0].number - 1)
        .values(received=items[-1].number)
    )
    if not moved.rowcount:
        return False
    rows = [
        {
            "batch_id": batch_id,
            "number": item.number,
            "scenario_id": item.request.scenario,
            "consent_id": item.request.consent_id,
            "reference": item.request.reference,
        }
        for item in items
    ]
    await tx.execute(insert(check_batch_items), rows)
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


async def lock(tx: AsyncConnection, batch_id: str) -> CheckBatch | None:
    return await _one(tx, select(check_batches).where(check_batches.c.id == batch_id).with_for_update())


async def items(tx: AsyncConnection, batch_id: str, after: int, limit: int) -> list[BatchItem]:
    """The next items, in order."""
    return [item for item, _ in await settled(tx, batch_id, after, limit)]


async def settled(tx: AsyncConnection, batch_id: str, after: int, limit: int) -> list[tuple[BatchItem, Settled]]:
    """The next items with what became of them, in order."""
    columns = check_batch_items.c
    rows = await tx.execute(
        select(
            columns.number,
            columns.scenario_id,
            columns.consent_id,
            columns.reference,
            columns.check_id,
            columns.outcome,
            columns.refusal,
            columns.source,
        )
        .where(columns.batch_id == batch_id, columns.number > after, columns.number <= after + limit)
        .order_by(columns.number)
    )
    return [
        (
            BatchItem(number, CheckRequest(scenario, consent_id, reference)),
            Settled(number=number, check_id=check_id, outcome=outcome, refusal=refusal, source=source),
        )
        for number, scenario, consent_id, reference, check_id, outcome, refusal, source in rows
    ]


_SETTLE = (
    update(check_batch_items)
    .where(check_batch_items.c.batch_id == bindparam("of_batch"), check_batch_items.c.number == bindparam("at_number"))
    .values(
        check_id=bindparam("new_check_id"),
        outcome=bindparam("new_outcome"),
        refusal=bindparam("new_refusal"),
        source=bindparam("new_source"),
    )
)


async def settle(tx: AsyncConnection, batch: CheckBatch, results: Sequence[Settled], at: datetime) -> None:
    """Stores what became of the next items. The caller holds the batch's lock."""
    await tx.execute(
        _SETTLE,
        [
            {
                "of_batch": batch.id,
                "at_number": each.number,
                "new_check_id": each.check_id,
                "new_outcome": each.outcome,
                "new_refusal": each.refusal,
                "new_source": each.source,
            }
            for each in results
        ],
    )
    refused = sum(each.refusal is not None for each in results)
    done = batch.done + len(results)
    await tx.execute(
        update(check_batches)
        .where(check_batches.c.id == batch.id)
        .values(
            done=done,
            answered=batch.answered + len(results) - refused,
            refused=batch.refused + refused,
            started_at=batch.started_at or at,
            finished_at=at if done == batch.total else None,
        )
    )


async def outcomes(tx: AsyncConnection, batch_id: str, scenarios: Collection[str]) -> dict[str, int]:
    """How many items of these scenarios have each outcome, without those whose consent is withdrawn or paused."""
    items = check_batch_items.c
    counted = await tx.execute(
        select(items.outcome, func.count())
        .join_from(check_batch_items, consents, consents.c.id == items.consent_id)
        .where(
            items.batch_id == batch_id,
            items.scenario_id.in_(scenarios),
            items.outcome.is_not(None),
            consents.c.ended_as.is_distinct_from(ConsentState.WITHDRAWN.value),
            consents.c.paused_at.is_(None),
        )
        .group_by(items.outcome)
    )
    return {str(outcome): count for outcome, count in counted}


async def _one(tx: AsyncConnection, wanted: Select[Any]) -> CheckBatch | None:
    row = (await tx.execute(wanted)).one_or_none()
    return None if row is None else CheckBatch(**row._mapping)
