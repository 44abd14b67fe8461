"""What other rooms store beside the log, held against it.

The log proves itself, and nothing of the rows that the product works with: those are read from their own tables. So
verification calls witnesses: for each thing that the log tells of, the row must say what the newest entry says.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from . import repo
from .diagnosis import Fault, FaultKind
from .repo import Leaf


class Told(Struct, frozen=True):
    """The newest entry about one thing."""

    leaf_index: int
    kind: str
    id: str
    body: bytes


class Disagreement(Struct, frozen=True):
    """A row that doesn't say what its entry says."""

    told: Told
    what: str
    """What differs, as a name; empty when there is no such row."""


class Witness(Protocol):
    """The rows of one table that entries of some kinds tell of, one row for each id."""

    kinds: frozenset[str]
    table: str

    async def compare(self, tx: AsyncConnection, told: Sequence[Told]) -> Disagreement | None:
        """The first disagreement in the order of ``told``. Raises ``ValueError`` or ``TypeError`` for rows that can't
        be read."""
        ...

    async def count(self, tx: AsyncConnection) -> int:
        """How many rows there are."""
        ...


class Hearing:
    """Compares the log, as it is read, with the rows that one witness knows."""

    def __init__(self, witness: Witness, log_id: str) -> None:
        self._witness = witness
        self._log_id = log_id
        self._things = 0
        self.fault: Fault | None = None
        """The first thing that was found."""

    async def hear(self, tx: AsyncConnection, leaves: Sequence[Leaf]) -> None:
        """Takes the next leaves. Of a thing that several entries tell of, the last one counts."""
        mine = [leaf for leaf in leaves if leaf.kind in self._witness.kinds]
        if not mine or self.fault is not None:
            return
        newest = await repo.newest(tx, self._log_id, self._witness.kinds, {leaf.entry_id for leaf in mine})
        last = [leaf for leaf in mine if newest[leaf.entry_id] == leaf.leaf_index]
        self._things += len(last)
        # What was erased by law may be gone from the tables too.
        told = [Told(each.leaf_index, each.kind, each.entry_id, each.body) for each in last if each.body is not None]
        found = await self._compare(tx, told)
        if found is not None:
            self.fault = _fault(self._witness.table, found)

    async def finish(self, tx: AsyncConnection) -> Fault | None:
        """The verdict, after the last leaf."""
        if self.fault is None and (surplus := await self._witness.count(tx) - self._things) > 0:
            detail = f"{self._witness.table} has {surplus} rows that no entry tells of"
            return Fault(FaultKind.INSERTED, None, None, detail)
        return self.fault

    async def _compare(self, tx: AsyncConnection, told: Sequence[Told]) -> Disagreement | None:
        """Halves what can't be read until the row is found."""
        try:
            return await self._witness.compare(tx, told)
        except (TypeError, ValueError, AssertionError):
            if len(told) == 1:
                return Disagreement(told[0], "what can't be read")
        middle = len(told) // 2
        return await self._compare(tx, told[:middle]) or await self._compare(tx, told[middle:])


def _fault(table: str, found: Disagreement) -> Fault:
    index = found.told.leaf_index
    if not found.what:
        return Fault(FaultKind.DELETED, index, index, f"the row of {found.told.id} in {table} isn't there")
    detail = f"the row of {found.told.id} in {table} says something else than the entry: {found.what}"
    return Fault(FaultKind.EDITED, index, index, detail)
