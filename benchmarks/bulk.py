"""Many generated rows at once, past the product: SQLite's own ``executemany``, PostgreSQL's ``COPY``."""

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
from sqlalchemy import Column, Table

from xinyi.storage.database import driver_url

_TOGETHER: Final = 100_000
_SQLITE_TIME: Final = "%Y-%m-%d %H:%M:%S.%f"


class Bulk:
    """One database, addressed as the setting ``database_url`` does. No server may be running on it meanwhile."""

    def __init__(self, url: str) -> None:
        self._url = driver_url(url)
        self._dialect = self._url.get_dialect()()
        self.is_sqlite = self._url.get_backend_name() == "sqlite"

    def moment(self, at: datetime) -> Any:
        """A time as this database's driver takes it."""
        return at.astimezone(UTC).strftime(_SQLITE_TIME) if self.is_sqlite else at

    def raw(self, column: Column[Any], value: Any) -> Any:
        """A value of this column, read with SQLAlchemy, as the driver takes it."""
        process = column.type.dialect_impl(self._dialect).bind_processor(self._dialect)
        return value if process is None else process(value)

    async def load(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Inserts all rows; SQLite in transactions of 100,000, so that its write-ahead log stays short."""
        if self.is_sqlite:
            self._insert(table, columns, rows)
        else:
            connection = await asyncpg.connect(self._plain)
            try:
                await connection.copy_records_to_table(table.name, records=rows, columns=columns)
            finally:
                await connection.close()

    async def settle(self) -> None:
        """Does now what PostgreSQL would do behind a measurement. Call after loading."""
        if not self.is_sqlite:
            connection = await asyncpg.connect(self._plain)
            try:
                for statement in ("VACUUM (FREEZE, ANALYZE)", "CHECKPOINT"):
                    await connection.execute(statement)
            finally:
                await connection.close()

    def _insert(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(columns))
        connection = sqlite3.connect(str(self._url.database), isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA cache_size=-1000000")  # KiB: the indexes stay in memory while they grow
            statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 (our own names)
            todo = iter(rows)
            while part := list(itertools.islice(todo, _TOGETHER)):
                connection.execute("BEGIN")
                connection.executemany(statement, part)
                connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()

    @property
    def _plain(self) -> str:
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)
