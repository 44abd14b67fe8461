"""The queries about what subjects want of the portal."""

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks.tables import checks
from ..storage.sql import insert_ignoring
from .tables import preferences


class Wish(Struct, frozen=True):
    """What one subject wants: a notice after each use, and how far they have read."""

    subject_id: str
    notice_after_use: bool
    seen: str
    mailed: str


async def wish(tx: AsyncConnection, subject_id: str) -> Wish | None:
    row = (await tx.execute(select(preferences).where(preferences.c.subject_id == subject_id))).one_or_none()
    return None if row is None else Wish(*row)


async def keep(tx: AsyncConnection, wanted: Wish) -> None:
    """Stores the wish in place of an earlier one."""
    await tx.execute(insert_ignoring(tx, preferences, ["subject_id"]).values(**asdict(wanted)))
    await tx.execute(update(preferences).where(preferences.c.subject_id == wanted.subject_id).values(**asdict(wanted)))


async def uses_since(tx: AsyncConnection, subject_id: str, after: str) -> int:
    """How many checks about the subject came after this one."""
    query = select(func.count()).select_from(checks).where(checks.c.subject_id == subject_id, checks.c.id > after)
    return (await tx.execute(query)).scalar_one()


async def to_mail(tx: AsyncConnection, before: str, limit: int) -> dict[str, str]:
    """Who wants a notice and wasn't mailed about their newest check up to ``before``: its id by the subject's."""
    newest = func.max(checks.c.id)
    query = (
        select(preferences.c.subject_id, newest)
        .join(checks, checks.c.subject_id == preferences.c.subject_id)
        .where(preferences.c.notice_after_use, checks.c.id > preferences.c.mailed, checks.c.id < before)
        .group_by(preferences.c.subject_id)
        .order_by(preferences.c.subject_id)
        .limit(limit)
    )
    return {row[0]: row[1] for row in await tx.execute(query)}


async def mark_mailed(tx: AsyncConnection, subject_id: str, upto: str, was: str) -> bool:
    """Notes that a mail told of the checks up to this one. False when somebody else did so first."""
    done = await tx.execute(
        update(preferences)
        .where(preferences.c.subject_id == subject_id, preferences.c.mailed == was)
        .values(mailed=upto)
    )
    return bool(done.rowcount)
