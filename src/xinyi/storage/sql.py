"""Statements that SQLAlchemy spells differently for each database, and the drivers' own paths for hot ones.

Core costs several times what the driver costs, for each statement and for each row. Where that counts a statement is
written in Core, compiled once (:class:`Prepared`), and run by the driver inside the caller's transaction.
"""

import sqlite3
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Dialect,
    Insert,
    Select,
    String,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator, TypeEngine

_Processor = Callable[[Any], Any] | None
_UNREACHABLE: Final = (
    sqlite3.OperationalError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # its protocol was cut off in the middle of something
    OSError,
)
"""What the drivers raise when it is the database that can't be used, not the statement."""

_FEW: Final = 24
"""The most rows that PostgreSQL takes as the arrays of one statement: COPY costs each row less, but two round trips."""


def insert_ignoring(tx: AsyncConnection, table: Table, columns: Sequence[str]) -> Insert:
    """``INSERT … ON CONFLICT (columns) DO NOTHING``: rows that are already there stay as they are."""
    if _is_postgresql(tx.dialect):
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(columns))
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(columns))


async def delete_some(tx: AsyncConnection, table: Table, which: ColumnElement[bool], limit: int) -> int:
    """Deletes at most ``limit`` of these rows, and says how many it were."""
    key = table.primary_key.columns
    some = select(*key).where(which).limit(limit)
    return (await tx.execute(delete(table).where(tuple_(*key).in_(some)))).rowcount


async def take_turns(tx: AsyncConnection, name: str) -> None:
    """Waits until no other transaction holds ``name``, and holds it until this one ends. SQLite has one writer."""
    if _is_postgresql(tx.dialect):
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


class _JsonList(TypeDecorator[Collection[str]]):
    """A list of texts as one JSON parameter."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> str:
        return msgspec.json.encode(list(value or ())).decode()


def one_of(dialect: Dialect, column: ColumnElement[str], values: Collection[str] | str) -> ColumnElement[bool]:
    """``column`` is one of ``values``; a string names the parameter of a :class:`Prepared` statement.

    The list is one parameter: an array on PostgreSQL, JSON on SQLite. So the statement's text is the same for lists of
    every length, and it is compiled and prepared once.
    """
    type_: TypeEngine[Any] = postgresql.ARRAY(String) if _is_postgresql(dialect) else _JsonList()
    given = bindparam(values, type_=type_) if isinstance(values, str) else bindparam(None, list(values), type_=type_)
    if _is_postgresql(dialect):
        return column == any_(given)
    return column.in_(select(func.json_each(given).table_valued("value").c.value))


class Prepared:
    """A hot statement: built once for each database, then run by the driver alone.

    ``build`` gives the statement for a dialect; its parameters are ``bindparam``'s with names. Values and rows are
    converted by the columns' types, as Core does. Raises SQLAlchemy's ``DBAPIError``, as Core does.
    """

    def __init__(self, build: Callable[[Dialect], Select[Any] | Update | Insert]) -> None:
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def text(self, dialect: Dialect) -> str:
        """The statement in the database's own words."""
        return self._for(dialect).text

    async def fetch(self, tx: AsyncConnection, **values: Any) -> list[tuple[Any, ...]]:
        """The rows, as tuples of the selected columns."""
        compiled = self._for(tx.dialect)
        connection, arguments = _driver(tx), compiled.arguments(values)
        if _is_postgresql(tx.dialect) and not _has_begun(tx, connection):
            rows: Any = (await tx.exec_driver_sql(compiled.text, tuple(arguments))).all()
            return _converted(rows, compiled.results)
        with _errors(compiled.text):
            if _is_postgresql(tx.dialect):
                rows = await connection.fetch(compiled.text, *arguments)
            else:
                rows = connection.direct.execute(compiled.text, arguments).fetchall()
        return _converted(rows, compiled.results)

    async def execute(self, tx: AsyncConnection, **values: Any) -> None:
        """Runs a statement that gives no rows."""
        compiled = self._for(tx.dialect)
        connection = await _begun_driver(tx)
        with _errors(compiled.text):
            if _is_postgresql(tx.dialect):
                await connection.execute(compiled.text, *compiled.arguments(values))
            else:
                connection.direct.execute(compiled.text, compiled.arguments(values))

    def _for(self, dialect: Dialect) -> "_Compiled":
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self._build(dialect), dialect)
        return found


Part = tuple[Table, Sequence[Sequence[Any]]]
"""A table, and whole rows for it: the values in the order of its columns, but of those that the database numbers."""


async def insert_rows(tx: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Inserts whole rows into one table: see :func:`insert_parts`."""
    await insert_parts(tx, (table, rows))


async def insert_parts(tx: AsyncConnection, *parts: Part) -> None:
    """Inserts whole rows through the driver's own path for many; few rows of several tables by one statement.

    Raises SQLAlchemy's ``DBAPIError``, as Core does.
    """
    given = [(table, _converted(rows, _layout(table, tx.dialect)[2])) for table, rows in parts if rows]
    if not given:
        return
    connection = await _begun_driver(tx)
    together: list[tuple[Table, list[tuple[Any, ...]]]] = []
    for table, rows in given:
        names, text, _ = _layout(table, tx.dialect)
        if not _is_postgresql(tx.dialect):
            with _errors(text):
                connection.direct.executemany(text, rows)
        elif len(rows) > _FEW:
            with _errors(text):
                await connection.copy_records_to_table(table.name, records=rows, columns=names)
        else:
            together.append((table, rows))
    if together:
        text = _from_arrays(tuple(table for table, _ in together), tx.dialect)
        with _errors(text):
            await connection.execute(text, *(column for _, rows in together for column in zip(*rows, strict=True)))


async def insert_missing_rows(
    tx: AsyncConnection, table: Table, unique: str, rows: Sequence[Sequence[Any]]
) -> list[Any]:
    """Inserts the whole rows whose value in the column ``unique`` isn't there yet; gives those values.

    The rows are as for :func:`insert_rows`. Those that another transaction is inserting are waited for, in the order
    given. Raises SQLAlchemy's ``DBAPIError``, as Core does.
    """
    if not rows:
        return []
    _, text, processors = _layout(table, tx.dialect)
    values = _converted(rows, processors)
    connection = await _begun_driver(tx)
    ending = f"ON CONFLICT ({unique}) DO NOTHING RETURNING {unique}"
    with _errors(text):
        if _is_postgresql(tx.dialect):
            found = await connection.fetch(f"{_from_arrays((table,), tx.dialect)} {ending}", *zip(*values, strict=True))
        else:
            found = [row for each in values for row in connection.direct.execute(f"{text} {ending}", each)]
    return [row[0] for row in found]


class _Compiled(Struct, frozen=True):
    """A statement in the driver's words: its parameters by position, with what converts each, and the results'."""

    text: str
    names: tuple[str, ...]
    constants: dict[str, Any]
    processors: tuple[_Processor, ...]
    results: tuple[_Processor, ...]

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        given = [values[name] if name in values else self.constants[name] for name in self.names]
        return [
            value if convert is None else convert(value) for value, convert in zip(given, self.processors, strict=True)
        ]


def _compile(statement: Select[Any] | Update | Insert, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    names = tuple(compiled.positiontup or ())
    columns = statement.selected_columns if isinstance(statement, Select) else ()
    return _Compiled(
        str(compiled),
        names,
        {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        tuple(_of(compiled.binds[name].type, dialect).bind_processor(dialect) for name in names),
        tuple(_of(column.type, dialect).result_processor(dialect, None) for column in columns),
    )


@cache
def _layout(table: Table, dialect: Dialect) -> tuple[list[str], str, tuple[_Processor, ...]]:
    columns = [column for column in table.columns if column.identity is None]
    names = [column.name for column in columns]
    quoted = ", ".join(map(dialect.identifier_preparer.quote, names))
    text = f"INSERT INTO {table.name} ({quoted}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 (our own names)
    processors = tuple(_of(column.type, dialect).bind_processor(dialect) for column in columns)
    return names, text, processors


@cache
def _from_arrays(tables: tuple[Table, ...], dialect: Dialect) -> str:
    """PostgreSQL's statement that inserts rows into each of the tables, of one array for each column of theirs."""
    place, inserts = count(1), []
    for table in tables:
        names, _, _ = _layout(table, dialect)
        # Without the length that a type may have: a cast to it would cut off what is too long.
        types = [table.c[name].type.compile(dialect).partition("(")[0] for name in names]
        arrays = ", ".join(f"${next(place)}::{type_}[]" for type_ in types)
        inserts.append(f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})")  # noqa: S608 (our own names)
    first = ", ".join(f"part{number} AS ({insert})" for number, insert in enumerate(inserts[:-1]))
    return f"WITH {first} {inserts[-1]}" if first else inserts[-1]


def _of(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """The type as this database has it."""
    return type_.dialect_impl(dialect)


def _converted(rows: Sequence[Sequence[Any]], processors: Sequence[_Processor]) -> list[tuple[Any, ...]]:
    """The rows with the values converted that need it, column by column."""
    if not rows or not any(processors):
        return [tuple(row) for row in rows]
    columns = [
        column if convert is None else [convert(value) for value in column]
        for column, convert in zip(zip(*rows, strict=True), processors, strict=True)
    ]
    return list(zip(*columns, strict=True))


def _driver(tx: AsyncConnection) -> Any:
    """The driver's connection."""
    assert tx.sync_connection is not None, "the unit of work is open"
    return tx.sync_connection.connection.driver_connection


def _has_begun(tx: AsyncConnection, connection: Any) -> bool:
    """Whether the transaction of ``tx`` is one on PostgreSQL: SQLAlchemy's begin with the first statement it runs."""
    return not tx.in_transaction() or connection.is_in_transaction()


async def _begun_driver(tx: AsyncConnection) -> Any:
    """The driver's connection, inside the transaction of ``tx``."""
    connection = _driver(tx)
    if _is_postgresql(tx.dialect) and not _has_begun(tx, connection):
        await tx.exec_driver_sql("SELECT 1")
    return connection


@contextmanager
def _errors(text: str) -> Generator[None]:
    """The driver's errors as SQLAlchemy's, without the values."""
    try:
        yield
    except _UNREACHABLE as error:
        raise OperationalError(text, None, error, hide_parameters=True) from error
    except (sqlite3.Error, asyncpg.PostgresError) as error:
        raise DBAPIError(text, None, error, hide_parameters=True) from error


def _is_postgresql(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"
