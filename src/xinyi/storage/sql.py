"""The few statements that SQLAlchemy spells differently for each database."""

from collections.abc import Sequence

from sqlalchemy import Insert, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert_ignoring(tx: AsyncConnection, table: Table, columns: Sequence[str]) -> Insert:
    """``INSERT … ON CONFLICT (columns) DO NOTHING``: rows that are already there stay as they are."""
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(columns))
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(columns))


async def take_turns(tx: AsyncConnection, name: str) -> None:
    """Waits until no other transaction holds ``name``, and holds it until this one ends. SQLite has one writer."""
    if tx.dialect.name == "postgresql":
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
