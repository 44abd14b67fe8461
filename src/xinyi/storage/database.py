"""The engine and the unit of work, on SQLite (WAL) and PostgreSQL alike.

Services open a unit of work and pass its connection down; nothing below a service commits.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ..kernel.errors import Code, XinyiError
from .types import metadata


class Database:
    """One database behind an async pool.

    ``url`` is a SQLAlchemy URL: ``sqlite+aiosqlite:///path`` or ``postgresql+asyncpg://…``.
    """

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        self._engine = create_async_engine(
            url,
            pool_size=5,
            max_overflow=5,
            pool_timeout=5,
            pool_pre_ping=False,
            hide_parameters=True,  # an error's text must not hold a value
        )
        # SQLite has one writer: waiting in the event loop is cheaper and fairer than its busy handler's polling.
        self._writer: asyncio.Lock | None = asyncio.Lock() if self.is_sqlite else None
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _sqlite_connect)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """A read-write transaction: committed at the end of the block, rolled back when it raises.

        ``BEGIN IMMEDIATE`` on SQLite, READ COMMITTED on PostgreSQL. Raises ``XinyiError(UNAVAILABLE)`` when the
        database can't be reached; then nothing was stored, or its commit was not confirmed.
        """
        async with self._writer or nullcontext(), self._connection("BEGIN IMMEDIATE") as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A read-only unit of work. Raises ``XinyiError(UNAVAILABLE)`` when the database can't be reached."""
        async with self._connection("BEGIN") as connection:
            yield connection

    @asynccontextmanager
    async def _connection(self, begin: str) -> AsyncGenerator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                if self.is_sqlite:
                    await connection.exec_driver_sql(begin)
                yield connection
                await connection.commit()
        except (OperationalError, InterfaceError, PoolTimeout, ConnectionError) as error:
            raise XinyiError(Code.UNAVAILABLE, "the database can't be reached", retry_after=1) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise XinyiError(Code.UNAVAILABLE, "the database can't be reached", retry_after=1) from error
            raise

    async def create_schema(self) -> None:
        """Creates the tables that are missing."""
        async with self.transaction() as connection:
            await connection.run_sync(metadata.create_all)

    async def close(self) -> None:
        await self._engine.dispose()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver would defer it
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
