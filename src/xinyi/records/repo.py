"""The queries about records and what subjects withhold."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from msgspec import convert
from msgspec.structs import asdict
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import Prepared, insert_ignoring, one_of
from ..storage.types import UtcDateTime
from .model import Dispute, DisputeState, Record, Settler, StoredRecord, Wish, Withholding
from .tables import disputes, kept_off, records, withholdings

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


async def of_type(tx: AsyncConnection, subject_id: str, record_type: str) -> list[StoredRecord]:
    query = select(records).where(records.c.subject_id == subject_id, records.c.record_type == record_type)
    return [_stored(row._mapping) for row in await tx.execute(query)]


async def set_facts(tx: AsyncConnection, facts: Mapping[str, str]) -> None:
    """Says which fact each of these records is, by record id."""
    statement = update(records).where(records.c.id == bindparam("record_id")).values(fact=bindparam("its_fact"))
    await tx.execute(statement, [{"record_id": record_id, "its_fact": fact} for record_id, fact in facts.items()])


async def add_wish_for(tx: AsyncConnection, record_id: str, at: datetime) -> None:
    """Wishes the fact of this record to be kept off."""
    await _wish(tx, records.c.id == record_id, at)


async def follow(tx: AsyncConnection, subject_ids: Collection[str], at: datetime) -> None:
    """Wishes the facts of what is kept off to be kept off: what says something else now than it did."""
    await _wish(tx, and_(one_of(tx.dialect, _r.subject_id, subject_ids), _r.suppressed_at.is_not(None)), at)


async def _wish(tx: AsyncConnection, which: ColumnElement[bool], at: datetime) -> None:
    names = ["subject_id", "fact", "record_type", "created_at"]
    told = select(_r.subject_id, _r.fact, _r.record_type, literal(at, UtcDateTime)).where(which, _r.fact.is_not(None))
    await tx.execute(insert_ignoring(tx, kept_off, ["subject_id", "fact"]).from_select(names, told))


async def remove_wish(tx: AsyncConnection, subject_id: str, fact: str) -> None:
    await tx.execute(delete(kept_off).where(kept_off.c.subject_id == subject_id, kept_off.c.fact == fact))


async def obey(tx: AsyncConnection, subject_ids: Collection[str], at: datetime) -> None:
    """Keeps off what these subjects wish to be kept off."""
    wished = exists().where(kept_off.c.subject_id == _r.subject_id, kept_off.c.fact == _r.fact)
    theirs = one_of(tx.dialect, _r.subject_id, subject_ids)
    await tx.execute(update(records).where(theirs, _r.suppressed_at.is_(None), wished).values(suppressed_at=at))


async def unset_suppressed(tx: AsyncConnection, subject_id: str, record_id: str, fact: str) -> None:
    """Lets this record count again, and whatever else of the subject tells this fact."""
    same = and_(_r.subject_id == subject_id, or_(_r.id == record_id, _r.fact == fact))
    await tx.execute(update(records).where(same).values(suppressed_at=None))


async def wishes_of(tx: AsyncConnection, subject_id: str) -> list[Wish]:
    """What the subject keeps off, oldest wish first."""
    columns = kept_off.c
    query = select(columns.record_type, columns.created_at).where(columns.subject_id == subject_id)
    return [Wish(*row) for row in await tx.execute(query.order_by(columns.created_at, columns.fact))]


async def one(tx: AsyncConnection, record_id: str) -> tuple[str, StoredRecord] | None:
    """The record with its subject's id, whoever's it is."""
    row = (await tx.execute(select(records).where(records.c.id == record_id))).one_or_none()
    return None if row is None else (row.subject_id, _stored(row._mapping))


async def of_source(
    tx: AsyncConnection, source_id: str, *, source_ref: str | None, after: str, limit: int
) -> list[StoredRecord]:
    """The next records that this source sent, in the order of their refs; or the one with this ref."""
    query = select(records).where(records.c.source_id == source_id, records.c.source_ref > after)
    if source_ref is not None:
        query = query.where(records.c.source_ref == source_ref)
    return [_stored(row._mapping) for row in await tx.execute(query.order_by(records.c.source_ref).limit(limit))]


async def ids_of(tx: AsyncConnection, source_id: str, subject_id: str, record_types: Collection[str]) -> list[str]:
    """The ids of what this source holds of these types about one subject."""
    query = select(records.c.id).where(
        records.c.subject_id == subject_id,
        records.c.source_id == source_id,
        records.c.record_type.in_(sorted(record_types)),
    )
    return list((await tx.execute(query)).scalars())


async def delete_records(tx: AsyncConnection, record_ids: Collection[str]) -> None:
    """Takes records away for good: nothing says afterwards that they were there."""
    await tx.execute(delete(records).where(records.c.id.in_(sorted(record_ids))))


async def add_dispute(tx: AsyncConnection, dispute: Dispute) -> None:
    await tx.execute(insert(disputes), asdict(dispute))


async def dispute(tx: AsyncConnection, dispute_id: str) -> Dispute | None:
    row = (await tx.execute(select(disputes).where(disputes.c.id == dispute_id))).one_or_none()
    return None if row is None else _dispute(row._mapping)


async def open_dispute_about(tx: AsyncConnection, record_id: str) -> Dispute | None:
    """The dispute about this record that waits for its answer: there is at most one."""
    query = select(disputes).where(disputes.c.record_id == record_id, disputes.c.state == DisputeState.OPEN)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _dispute(row._mapping)


async def list_disputes(
    tx: AsyncConnection,
    *,
    subject_id: str | None = None,
    source_id: str | None = None,
    only_open: bool = False,
    after: str = "",
    limit: int,
) -> list[Dispute]:
    """The next disputes, oldest first: a subject's, a source's or everybody's."""
    query = select(disputes).where(disputes.c.id > after)
    if subject_id is not None:
        query = query.where(disputes.c.subject_id == subject_id)
    if source_id is not None:
        query = query.where(disputes.c.source_id == source_id)
    if only_open:
        query = query.where(disputes.c.state == DisputeState.OPEN)
    return [_dispute(row._mapping) for row in await tx.execute(query.order_by(disputes.c.id).limit(limit))]


async def settle(
    tx: AsyncConnection,
    record_ids: Collection[str],
    state: DisputeState,
    by: Settler,
    at: datetime,
    answer: str | None = None,
) -> None:
    """Settles what is open about these records."""
    await tx.execute(
        update(disputes)
        .where(disputes.c.record_id.in_(sorted(record_ids)), disputes.c.state == DisputeState.OPEN)
        .values(state=state, settled_by=by, settled_at=at, answer=answer)
    )


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


def _dispute(row: RowMapping) -> Dispute:
    return convert({name: row[name] for name in Dispute.__struct_fields__}, Dispute)
