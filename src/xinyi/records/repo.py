"""The queries about records and what subjects withhold."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import insert_ignoring
from .model import Record, StoredRecord, Withholding
from .tables import records, withholdings


async def load_current(
    tx: AsyncConnection, subject_ids: Collection[str], record_types: Collection[str]
) -> dict[str, list[Record]]:
    """The records of these types, by subject. One query, whatever the number."""
    query = select(
        records.c.subject_id,
        records.c.record_type,
        records.c.source_id,
        records.c.source_ref,
        records.c.observed_at,
        records.c.valid_until,
        records.c.fields,
        records.c.disputed_at,
        records.c.suppressed_at,
    ).where(records.c.subject_id.in_(subject_ids), records.c.record_type.in_(record_types))
    found: dict[str, list[Record]] = {}
    for row in await tx.execute(query):
        found.setdefault(row.subject_id, []).append(
            Record(
                record_type=row.record_type,
                source=row.source_id,
                source_ref=row.source_ref,
                observed_at=row.observed_at,
                valid_until=row.valid_until,
                fields=row.fields,
                disputed=row.disputed_at is not None,
                suppressed=row.suppressed_at is not None,
            )
        )
    return found


async def load_withholdings(tx: AsyncConnection, subject_ids: Collection[str]) -> dict[str, set[Withholding]]:
    """What these subjects withhold. One query, whatever the number."""
    query = select(withholdings).where(withholdings.c.subject_id.in_(subject_ids))
    found: dict[str, set[Withholding]] = {}
    for row in await tx.execute(query):
        found.setdefault(row.subject_id, set()).add(Withholding(row.scenario_id, row.record_type))
    return found


async def of_subject(tx: AsyncConnection, subject_id: str) -> list[StoredRecord]:
    """All records of a subject, newest observation first."""
    query = (
        select(records).where(records.c.subject_id == subject_id).order_by(records.c.observed_at.desc(), records.c.id)
    )
    return [_stored(row._mapping) for row in await tx.execute(query)]


async def one_of_subject(tx: AsyncConnection, subject_id: str, record_id: str) -> StoredRecord | None:
    query = select(records).where(records.c.subject_id == subject_id, records.c.id == record_id)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _stored(row._mapping)


async def set_disputed(tx: AsyncConnection, record_id: str, at: datetime | None) -> None:
    await tx.execute(update(records).where(records.c.id == record_id).values(disputed_at=at))


async def set_suppressed(tx: AsyncConnection, record_id: str, at: datetime | None) -> None:
    await tx.execute(update(records).where(records.c.id == record_id).values(suppressed_at=at))


async def add_withholding(tx: AsyncConnection, subject_id: str, withholding: Withholding, at: datetime) -> None:
    await tx.execute(
        insert_ignoring(tx, withholdings, ["subject_id", "scenario_id", "record_type"]),
        {
            "subject_id": subject_id,
            "scenario_id": withholding.scenario_id,
            "record_type": withholding.record_type,
            "created_at": at,
        },
    )


async def remove_withholding(tx: AsyncConnection, subject_id: str, withholding: Withholding) -> None:
    await tx.execute(
        delete(withholdings).where(
            withholdings.c.subject_id == subject_id,
            withholdings.c.scenario_id == withholding.scenario_id,
            withholdings.c.record_type == withholding.record_type,
        )
    )


_STORED = StoredRecord.__struct_fields__


def _stored(row: RowMapping) -> StoredRecord:
    return StoredRecord(**{name: row[name] for name in _STORED})
