"""The queries about feedback."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks.tables import checks
from ..storage.sql import delete_some, insert_ignoring, one_of
from .model import BenefitBand, Feedback, Result, StoredFeedback
from .tables import check_feedback

_c = check_feedback.c


async def store(tx: AsyncConnection, partner_id: str, check_id: str, feedback: Feedback, at: datetime) -> None:
    """Stores what came of the check; what is said again changes nothing."""
    said = {"result": feedback.result.value, "benefit_band": feedback.benefit_band}
    row = {"partner_id": partner_id, "check_id": check_id, **said, "created_at": at, "changed_at": at}
    added = await tx.execute(insert_ignoring(tx, check_feedback, ["partner_id", "check_id"]).values(row))
    if not added.rowcount:
        differs = or_(_c.result != said["result"], _c.benefit_band.is_distinct_from(said["benefit_band"]))
        await tx.execute(
            update(check_feedback)
            .where(_c.partner_id == partner_id, _c.check_id == check_id, differs)
            .values(**said, changed_at=at)
        )


async def find(tx: AsyncConnection, partner_id: str, check_id: str) -> StoredFeedback | None:
    wanted = select(check_feedback).where(_c.partner_id == partner_id, _c.check_id == check_id)
    row = (await tx.execute(wanted)).one_or_none()
    return None if row is None else _stored(row)


async def find_many(
    tx: AsyncConnection, partner_ids: Collection[str], check_ids: Collection[str]
) -> dict[str, StoredFeedback]:
    """What these partners said of these checks, by check."""
    ours = one_of(tx.dialect, _c.partner_id, partner_ids)
    rows = await tx.execute(select(check_feedback).where(ours, one_of(tx.dialect, _c.check_id, check_ids)))
    return {row.check_id: _stored(row) for row in rows}


def _stored(row: Row[Any]) -> StoredFeedback:
    band = None if row.benefit_band is None else BenefitBand(row.benefit_band)
    feedback = Feedback(result=Result(row.result), benefit_band=band)
    return StoredFeedback(row.check_id, feedback, row.created_at, row.changed_at)


async def remove_orphans(tx: AsyncConnection, limit: int) -> int:
    """Removes some of the feedback whose check is gone; gives how much."""
    its_check = select(checks.c.id).where(checks.c.id == _c.check_id)
    return await delete_some(tx, check_feedback, ~exists(its_check), limit)
