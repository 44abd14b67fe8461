"""The queries about records and what subjects withhold."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import Prepared, insert_ignoring, one_of
from .model import Record, StoredRecord, Withholding
from .tables import records, withholdings

_r: Final = records.c
_current: Final = Prepared(
    lambda dialect: select(
        _r.subject_id,
        _r.record_type,
        _r.source_id,
        _r.source_ref,
        _r.observed_at,
        _r.valid_until,
        _r.fields,
        _r.disputed_at,
        _r.suppressed_at,
    ).where(one_of(dialect, _r.subject_id, "subject_ids"), one_of(dialect, _r.record_type, "record_types"))
)
_withheld: Final = Prepared(
    lambda dialect: select(withholdings.c.subject_id, withholdings.c.scenario_id, withholdings.c.record_type).where(
        one_of(dialect, withholdings.c.subject_id, "subject_ids")
    )
)


async def load_current(
    tx: AsyncConnection, subject_ids: Collection[str], record_types: Collection[str]
) -> dict[str, list[Record]]:
    """The records of these types, by subject. One query, whatever the number."""
    found: dict[str, list[Record]] = {}
    rows = await _current.fetch(tx, subject_ids=subject_ids, record_types=record_types)
    for subject_id, type_, source, ref, observed_at, valid_until, fields, disputed_at, suppressed_at in rows:
        record = Record(
            type_, source, ref, observed_at, valid_until, fields, disputed_at is not None, suppressed_at is not None
        )
        found.setdefault(subject_id, []).append(record)
    return found


async def load_withholdings(tx: AsyncConnection, subject_ids: Collection[str]) -> dict[str, set[Withholding]]:
    """What these subjects withhold. One query, whatever the number."""
    found: dict[str, set[Withholding]] = {}
    for subject_id, scenario_id, record_type in await _withheld.fetch(tx, subject_ids=subject_ids):
        found.setdefault(subject_id, set()).add(Withholding(scenario_id, record_type))
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
