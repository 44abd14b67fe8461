"""The schema and its history: brought up to date by ``xinyi migrate``, and required by everything else."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, String, column, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .sql import take_turns

MIGRATIONS: Final = Path(__file__).with_name("migrations")
VERSION_TABLE: Final = "alembic_version"


class NotMigrated(Exception):
    """The database's schema isn't the one that this program works with. ``str()`` says what to do."""


def revisions() -> list[str]:
    """The steps of the schema's history that this program knows, in order."""
    return sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def migrate(database: Database) -> list[str]:
    """Takes the steps that are missing, all or none; gives their revisions.

    Whoever comes second waits, and then has nothing to do. Raises :class:`NotMigrated` when the schema is newer than
    this program, or not of its making.
    """
    async with database.transaction() as tx:
        await take_turns(tx, "migrations")
        todo = _missing(await _current(tx))
        if todo:
            await tx.run_sync(_upgrade)
        return todo


async def migrate_if_empty(database: Database) -> None:
    """Makes the schema in a database that holds nothing."""
    async with database.read() as tx:
        empty = not await tx.run_sync(_tables)
    if empty:
        await migrate(database)


async def require_migrated(database: Database) -> None:
    """Raises :class:`NotMigrated` unless the schema is current."""
    async with database.read() as tx:
        missing = _missing(await _current(tx))
    if missing:
        raise NotMigrated("the database isn't up to date: `xinyi migrate` brings it there")


def _missing(current: str | None) -> list[str]:
    known = revisions()
    if current is None:
        return known
    if current not in known:
        raise NotMigrated(
            f"the database is at step {current}, which this xinyi doesn't know: a newer one ran `xinyi migrate`"
        )
    return known[known.index(current) + 1 :]


async def _current(tx: AsyncConnection) -> str | None:
    tables = await tx.run_sync(_tables)
    if VERSION_TABLE in tables:
        statement = select(column("version_num", String)).select_from(table(VERSION_TABLE))
        current: str | None = (await tx.execute(statement)).scalar_one_or_none()
        return current
    if tables:
        raise NotMigrated(
            "the database holds tables that `xinyi migrate` didn't make: give xinyi a database of its own, and run that"
        )
    return None


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _upgrade(connection: Connection) -> None:
    # Imported where it is needed, so that starting a server doesn't pay for it.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
