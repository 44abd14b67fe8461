"""What the application's PostgreSQL role may do: the least that requests need.

Migrations run as the owner of the tables; the server as a role that owns nothing. What a table is for is said beside
it, in ``Table.info``; a table that says nothing may be read, added to and changed, and loses no row.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .migrate import VERSION_TABLE, require_migrated
from .types import metadata

RIGHTS: Final = "rights"


class Right(StrEnum):
    """A privilege on a table."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


APPEND_ONLY: Final = {RIGHTS: (Right.SELECT, Right.INSERT)}
"""For ``Table(info=…)``: a row that was written stays as it is."""
SHRINKING: Final = {RIGHTS: (Right.SELECT, Right.INSERT, Right.DELETE)}
"""For ``Table(info=…)``: rows come and go, and are never changed."""
CHANGING: Final = {RIGHTS: (Right.SELECT, Right.INSERT, Right.UPDATE, Right.DELETE)}
"""For ``Table(info=…)``: rows come, change and go."""

_USUAL: Final = (Right.SELECT, Right.INSERT, Right.UPDATE)


class NoSuchRole(Exception):
    """The database server has no such role, or is none that has roles. ``str()`` says which."""


async def grant(database: Database, role: str) -> None:
    """Gives ``role`` exactly what the server needs, and takes everything else on these tables from it.

    Makes no role. Raises :class:`NoSuchRole` and ``NotMigrated``.
    """
    if database.is_sqlite:
        raise NoSuchRole("SQLite has no roles: --app-role is for PostgreSQL")
    await require_migrated(database)
    async with database.transaction() as tx:
        if not (await tx.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = $1", (role,))).first():
            raise NoSuchRole(f"PostgreSQL has no role {role}: CREATE ROLE makes it")
        quoted = tx.dialect.identifier_preparer.quote(role)
        await tx.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {quoted}")
        for table in metadata.sorted_tables:
            await _grant(tx, table.name, rights(table), quoted)
        await _grant(tx, VERSION_TABLE, (Right.SELECT,), quoted)


def rights(table: Table) -> tuple[Right, ...]:
    """What the server needs to do with the table's rows."""
    found: tuple[Right, ...] = table.info.get(RIGHTS, _USUAL)
    return found


async def _grant(tx: AsyncConnection, table: str, wanted: tuple[Right, ...], role: str) -> None:
    await tx.exec_driver_sql(f"REVOKE ALL ON {table} FROM {role}")
    await tx.exec_driver_sql(f"GRANT {', '.join(wanted)} ON {table} TO {role}")
