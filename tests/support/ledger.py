"""A log that tests fill, damage and verify."""

import re
from collections.abc import Sequence

from sqlalchemy import text

from tests.support.clock import ManualClock
from xinyi.kernel.canonical import canonical_json
from xinyi.ledger.model import NewEntry
from xinyi.ledger.service import LedgerService
from xinyi.storage.database import Database


def entry(number: int) -> NewEntry:
    id_ = f"chk_{number:026}"
    return NewEntry("sample", id_, canonical_json({"kind": "sample", "id": id_, "salt": f"salt-{number}"}))


class Log:
    """The ledger together with the database that it is in."""

    def __init__(self, database: Database, ledger: LedgerService, clock: ManualClock) -> None:
        self.database = database
        self.ledger = ledger
        self.clock = clock
        self.length = 0

    async def append(self, *sizes: int) -> list[str]:
        """Appends one batch of each size, in transactions of their own; gives all receipts."""
        receipts: list[str] = []
        for size in sizes:
            async with self.database.transaction() as tx:
                entries = [entry(self.length + i) for i in range(size)]
                receipts += await self.ledger.append(tx, entries, self.clock.now())
            self.length += size
        return receipts

    async def erase(self, entry_id: str) -> int:
        async with self.database.transaction() as tx:
            count = await self.ledger.erase(tx, [entry_id], self.clock.now())
        self.length += count > 0
        return count

    async def sql(self, *statements: str) -> None:
        """What someone with the database in hand, but without the ledger's keys, may do to it."""
        async with self.database.transaction() as tx:
            for statement in statements:
                await tx.execute(text(spelled(statement, tx.dialect.name)))

    async def rows(self, statement: str) -> Sequence[tuple[object, ...]]:
        async with self.database.read() as tx:
            return [tuple(row) for row in await tx.execute(text(statement))]


def spelled(statement: str, dialect: str) -> str:
    """A statement with SQLite's literals of bytes, as the dialect spells them."""
    if dialect == "sqlite":
        return statement
    statement = re.sub(r"zeroblob\(((?:[^()]|\(\w+\))*)\)", r"decode(repeat('00', \1), 'hex')", statement)
    return re.sub(r"[xX]'([0-9a-fA-F]*)'", r"decode('\1', 'hex')", statement)
