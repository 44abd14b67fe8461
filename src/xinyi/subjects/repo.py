"""The queries about subjects."""

from collections.abc import Collection
from datetime import datetime
from operator import attrgetter
from typing import Final

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import Prepared, insert_missing_rows, one_of
from .tables import subjects


class SubjectRow(Struct, frozen=True):
    """A row as it is stored: nothing in it names the subject without the keys."""

    id: str
    kind: str
    identifier_key: str
    identifier_sealed: bytes
    seal_version: str
    created_at: datetime
    email_sealed: bytes | None = None
    email_version: str | None = None


_columns: Final = attrgetter(*subjects.c.keys())
_ids_by_key: Final = Prepared(
    lambda dialect: select(subjects.c.identifier_key, subjects.c.id).where(
        one_of(dialect, subjects.c.identifier_key, "keys")
    )
)


async def ids_by_key(tx: AsyncConnection, keys: Collection[str]) -> dict[str, str]:
    """Which of ``keys`` are known, and the subject id of each. One query."""
    return dict(await _ids_by_key.fetch(tx, keys=keys))


async def insert_missing(tx: AsyncConnection, rows: Collection[SubjectRow]) -> frozenset[str]:
    """Inserts the rows whose key isn't there yet, and gives their keys. One statement.

    In key order, so that two imports never wait for each other.
    """
    ordered = sorted(rows, key=attrgetter("identifier_key"))
    return frozenset(await insert_missing_rows(tx, subjects, "identifier_key", [_columns(row) for row in ordered]))


async def by_id(tx: AsyncConnection, subject_id: str) -> SubjectRow | None:
    row = (await tx.execute(select(subjects).where(subjects.c.id == subject_id))).one_or_none()
    return None if row is None else SubjectRow(**row._mapping)


async def lock(tx: AsyncConnection, subject_ids: Collection[str]) -> None:
    """Locks the rows until ``tx`` ends, in the order of their ids. Rows that refer to them may still be added."""
    wanted = select(subjects.c.id).where(one_of(tx.dialect, subjects.c.id, subject_ids))
    await tx.execute(wanted.order_by(subjects.c.id).with_for_update(key_share=True))


async def set_email(tx: AsyncConnection, subject_id: str, version: str | None, sealed: bytes | None) -> None:
    await tx.execute(
        update(subjects).where(subjects.c.id == subject_id).values(email_version=version, email_sealed=sealed)
    )
