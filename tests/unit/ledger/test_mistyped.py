"""SQLite takes values of any type into any column: verification names them, whatever they are."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, LargeBinary, String

from tests.support.clock import ManualClock
from tests.support.ledger import Log
from tests.support.pairs import Embedded
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.service import LedgerService
from xinyi.ledger.tables import ledger_checkpoints, ledger_entries, ledger_head, ledger_leaves, ledger_nodes
from xinyi.ledger.verify import Report, verify_database
from xinyi.storage.database import Database
from xinyi.storage.keys import KeyRing

pytestmark = pytest.mark.anyio

TABLES = (ledger_leaves, ledger_nodes, ledger_checkpoints, ledger_entries, ledger_head)
BLOB = "x'00ff'"
WRONG = {"integer": ("'text'", BLOB, "7.5"), "blob": ("'text'", "7", "7.5"), "text": (BLOB,)}
PLACE = {
    "ledger_leaves": "leaf_index = 4",
    "ledger_entries": "leaf_index = 4",
    "ledger_nodes": "level = 1 AND position = 1",
    "ledger_checkpoints": "tree_size = 5",
    "ledger_head": "slot = 1",
}


@pytest.fixture
async def log(embedded: Embedded, tmp_path: Path, keys: KeyRing) -> AsyncIterator[Log]:
    database = Database(embedded.database_url(tmp_path))
    clock = ManualClock()
    yield Log(database, LedgerService(keys, "https://credit.example", clock), clock)
    await database.close()


def is_text(column: Column[Any]) -> bool:
    return isinstance(column.type, String)


def cases() -> Iterator[tuple[str, str, str]]:
    """Each column with each value that isn't of its type."""
    for table in TABLES:
        for column in table.columns:
            integer, blob = isinstance(column.type, Integer), isinstance(column.type, LargeBinary)
            values = WRONG["integer"] if integer else WRONG["blob"] if blob else WRONG["text"]
            if column.name != "slot":  # the schema itself sees to that one
                yield from ((table.name, column.name, value) for value in values)


async def damaged(log: Log, table: str, column: str, value: str) -> Report:
    """What verification says when one value, in the middle of the log where there is one, is another."""
    await log.append(3, 2, 4)
    other = {"body": ", erased_by = NULL", "erased_by": ", body = NULL"}.get(column, "")
    await log.sql(f"UPDATE {table} SET {column} = {value}{other} WHERE {PLACE[table]}")  # noqa: S608 (a test's own)
    async with log.database.read() as tx:
        return await verify_database(tx, CheckpointKeys(log.ledger.jwks()))


@pytest.mark.parametrize(("table", "column", "value"), list(cases()))
async def test_a_value_of_another_type_is_named(log: Log, table: str, column: str, value: str) -> None:
    fault = (await damaged(log, table, column, value)).fault
    assert fault is not None
    assert fault.detail == f"{table}.{column} holds a value of another type"
    in_the_middle = table in {"ledger_leaves", "ledger_entries"} and column != "leaf_index"
    assert (fault.kind, fault.first) == (("edited", 4) if in_the_middle else ("damaged", None))


@pytest.mark.parametrize(
    ("table", "column"), [(each.name, column.name) for each in TABLES for column in each.columns if is_text(column)]
)
async def test_text_that_is_no_text_stops_nobody(log: Log, table: str, column: str) -> None:
    report = await damaged(log, table, column, "CAST(x'ff' AS TEXT)")
    # A checkpoint of another log is none of this one's, and between others none is missed.
    assert (report.fault is None) is ((table, column) == ("ledger_checkpoints", "log_id"))
