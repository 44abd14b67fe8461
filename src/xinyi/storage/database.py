"""The engine and the unit of work, on SQLite (WAL) and PostgreSQL alike.

Services open a unit of work and pass its connection down; nothing below a service commits.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import aiosqlite
import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ..kernel.errors import Code, XinyiError
from .private import make_private

DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
"""What a URL that names only the database stands for."""

_CONNECT_WITHIN: Final = 2.0
_WAIT_FOR_A_CONNECTION: Final = 2.0
_STATEMENT_WITHIN: Final = 60.0
_PATIENCE: Final = "PRAGMA busy_timeout=10000"
_STATEMENTS_HELD: Final = 500
"""Prepared statements of one connection: lists of parameters of many lengths are many statements."""


_SESSION: Final = {
    "application_name": "xinyi",
    "jit": "off",
    # A connection keeps the plan it made while a table was small, and reads a grown one from end to end until its
    # statistics are renewed. All that we ask often has an index.
    "enable_seqscan": "off",
}


class Database:
    """One database behind an async pool.

    ``url`` is ``sqlite:///path`` or ``postgresql://…``; SQLAlchemy's spelling with a driver is understood too.
    ``pool_size``: the most PostgreSQL connections that this process holds. ``committing``: entered around each commit
    of what was written.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        committing: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._committing = committing
        self._busy = 0
        found = driver_url(url)
        self.is_sqlite = found.get_backend_name() == "sqlite"
        self._path = Path(found.database) if self.is_sqlite and found.database else None
        # SQLite has one writer: waiting in the event loop is cheaper and fairer than its busy handler's polling.
        self._writer: asyncio.Lock | None = asyncio.Lock() if self.is_sqlite else None
        if self.is_sqlite:
            self._engine = create_async_engine(
                found,
                async_creator=self._connect_sqlite,
                hide_parameters=True,
                pool_size=5,
                max_overflow=5,
                pool_timeout=5,
                pool_reset_on_return=None,  # whoever takes a connection ends what it began
                pool_use_lifo=True,  # what another connection writes empties the cache of this one
            )
        else:
            self._engine = create_async_engine(
                found,
                hide_parameters=True,
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=_WAIT_FOR_A_CONNECTION,
                connect_args={
                    "timeout": _CONNECT_WITHIN,
                    "command_timeout": _STATEMENT_WITHIN,
                    "prepared_statement_cache_size": _STATEMENTS_HELD,
                    "server_settings": _SESSION,
                },
            )
            event.listen(self._engine.sync_engine, "checkout", _postgresql_checkout)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """A read-write transaction: committed at the end of the block, rolled back when it raises.

        ``BEGIN IMMEDIATE`` on SQLite, READ COMMITTED on PostgreSQL. Raises ``XinyiError(UNAVAILABLE)`` when the
        database can't be reached; then nothing was stored, or its commit was not confirmed.
        """
        async with self._writer or nullcontext(), self._connection() as connection:
            await connection.begin()
            if self.is_sqlite and not sqlite_driver(connection).begin_now():
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            with self._committing():
                await connection.commit()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A read-only unit of work. Raises ``XinyiError(UNAVAILABLE)`` when the database can't be reached.

        On SQLite it sees one state from first to last; on PostgreSQL each statement sees what is committed by then.
        """
        async with self._connection() as connection:
            if not self.is_sqlite:
                yield connection
                return
            direct = sqlite_driver(connection).direct
            direct.execute("BEGIN")
            try:
                yield connection
            finally:
                await connection.rollback()
                if direct.in_transaction:
                    direct.execute("ROLLBACK")

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[AsyncConnection]:
        """A connection of the pool. What wasn't committed by the end of the block is rolled back."""
        connection = await self._acquire()
        self._busy += 1
        try:
            yield connection
        except BaseException as error:
            await self._forget_if_gone(connection)
            if _is_broken_off(error):
                raise _unreachable() from error
            raise
        finally:
            self._busy -= 1
            await connection.close()

    async def _forget_if_gone(self, connection: AsyncConnection) -> None:
        """What has gone can't be rolled back; and SQLAlchemy doesn't learn it from errors of the driver alone."""
        if self.is_sqlite or connection.invalidated:
            return
        driver = (await connection.get_raw_connection()).driver_connection
        if driver is not None and driver.is_closed():
            await connection.invalidate()

    async def _acquire(self) -> AsyncConnection:
        try:
            return await self._engine.connect()
        except PoolTimeout as error:
            raise XinyiError(Code.UNAVAILABLE, "every database connection is busy", retry_after=1) from error
        # What the driver raises while it connects reaches us as it is: refused, starting up, too many clients.
        except (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _unreachable() from error

    @property
    def busy(self) -> int:
        """How many connections are in use at this moment."""
        return self._busy

    async def close(self) -> None:
        await self._engine.dispose()

    @property
    def files(self) -> list[Path]:
        """The files that are there of a database that is one of files: SQLite's, with its log and its index."""
        if self._path is None:
            return []
        every = (self._path, *(self._path.with_name(self._path.name + end) for end in ("-wal", "-shm")))
        return [path for path in every if path.exists()]

    async def _connect_sqlite(self) -> "SqliteConnection":
        connection = SqliteConnection(self._path)
        await connection
        return connection


class SqliteConnection(aiosqlite.Connection):
    """One connection to an SQLite file, or to a database in memory.

    ``direct`` is the driver's own connection: a hop to its thread and back takes longer than most statements. Within a
    transaction they never wait for a lock, so they may run where they are called; what waits (its beginning, its end,
    a table that is read as a whole) is awaited.
    """

    direct: sqlite3.Connection

    def __init__(self, path: Path | None) -> None:
        super().__init__(self._open, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy makes it: a process that ends doesn't wait for it
        self._path = path

    def begin_now(self) -> bool:
        """Begins to write, unless another process does: then that has to be waited for."""
        self.direct.execute("PRAGMA busy_timeout=0")
        with suppress(sqlite3.OperationalError):  # whatever it is, it is told to who waits
            self.direct.execute("BEGIN IMMEDIATE")
        self.direct.execute(_PATIENCE)
        return self.direct.in_transaction

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            make_private(self._path)  # SQLite would make it as readable as the umask lets it; the log takes after it
        # We say BEGIN ourselves: the driver would defer it.
        self.direct = sqlite3.connect(self._path or ":memory:", isolation_level=None, check_same_thread=False)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            self.direct.execute(f"PRAGMA {pragma}")
        self.direct.execute(_PATIENCE)
        return self.direct


def sqlite_driver(connection: AsyncConnection) -> SqliteConnection:
    """The driver's connection of a unit of work on SQLite."""
    assert connection.sync_connection is not None, "the unit of work is open"
    driver = connection.sync_connection.connection.driver_connection
    assert isinstance(driver, SqliteConnection)
    return driver


def driver_url(url: str) -> URL:
    """The URL with the driver that is used. Raises ``ValueError`` for a database that isn't known here."""
    scheme, separator, rest = url.partition("://")
    spelled = DRIVERS.get(scheme, scheme)
    if not separator or spelled not in DRIVERS.values():
        raise ValueError("database_url must begin with sqlite:/// or postgresql://")
    return make_url(f"{spelled}://{rest}")


def _unreachable() -> XinyiError:
    return XinyiError(Code.UNAVAILABLE, "the database can't be reached", retry_after=1)


_SERVERS_OWN: Final = {"08", "53", "57", "58"}
"""The classes of SQLSTATE that tell of the server and not of the statement: the connection, resources, an operator who
stops it, the system below it."""


def _is_broken_off(error: BaseException) -> bool:
    if isinstance(error, OperationalError | InterfaceError | ConnectionError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (isinstance(state, str) and state[:2] in _SERVERS_OWN)


def _postgresql_checkout(connection: Any, _record: Any, _proxy: Any) -> None:
    """The driver already knows when its server has gone: the pool then connects anew, and no ping is needed."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
