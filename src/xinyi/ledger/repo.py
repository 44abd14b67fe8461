"""The ledger's queries."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    bindparam,
    func,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import Prepared, insert_ignoring, insert_parts
from .model import ERASURE, NewEntry
from .tables import ledger_checkpoints, ledger_entries, ledger_head, ledger_leaves, ledger_nodes
from .tree import Growth, Node


class Head(Struct, frozen=True):
    """Where the log ends."""

    log_id: str
    tree_size: int
    frontier: bytes
    checkpoint: str | None


class Leaf(Struct, frozen=True):
    """One row of the log, with its entry unless that was erased."""

    leaf_index: int
    leaf_hash: bytes
    kind: str
    entry_id: str
    body: bytes | None
    erased_by: int | None


class Signed(Struct, frozen=True):
    """One stored checkpoint: what its row says beside what was signed."""

    tree_size: int
    root_hash: bytes
    jws: str


_head = select(ledger_head.c.log_id, ledger_head.c.tree_size, ledger_head.c.frontier, ledger_head.c.checkpoint)


_lock_head = Prepared(lambda _: _head.with_for_update())
_move_head = Prepared(
    lambda _: update(ledger_head).values(
        tree_size=bindparam("tree_size"), frontier=bindparam("frontier"), checkpoint=bindparam("checkpoint")
    )
)


async def head(tx: AsyncConnection) -> Head | None:
    row = (await tx.execute(_head)).one_or_none()
    return None if row is None else Head(*row)


async def lock_head(tx: AsyncConnection) -> Head | None:
    """The head, held until the transaction ends. SQLite's write transactions exclude each other already."""
    rows = await _lock_head.fetch(tx)
    return Head(*rows[0]) if rows else None


async def create_head(tx: AsyncConnection, log_id: str) -> None:
    """Makes the head of a new log, unless another transaction did: then waits for that one."""
    statement = insert_ignoring(tx, ledger_head, ["slot"])
    await tx.execute(statement.values(slot=1, log_id=log_id, tree_size=0, frontier=b"", checkpoint=None))


async def is_empty(tx: AsyncConnection) -> bool:
    """Whether no log was ever begun here."""
    return (await tx.execute(select(ledger_checkpoints.c.log_id).limit(1))).first() is None and (
        await tx.execute(select(ledger_leaves.c.log_id).limit(1))
    ).first() is None


async def store(
    tx: AsyncConnection, log_id: str, entries: Sequence[NewEntry], growth: Growth, checkpoint: str, at: datetime
) -> None:
    """Stores what a growth of the log added, and moves the head."""
    placed = list(enumerate(entries, growth.before.size))
    size, root, frontier = growth.after.size, growth.after.root(), growth.after.to_bytes()
    await insert_parts(
        tx,
        (ledger_leaves, [(log_id, index, growth.nodes[0, index], entry.kind, entry.id) for index, entry in placed]),
        (ledger_entries, [(log_id, index, entry.body, None) for index, entry in placed]),
        (ledger_nodes, [(log_id, level, place, hash_) for (level, place), hash_ in growth.nodes.items() if level]),
        (ledger_checkpoints, [(log_id, size, root, checkpoint, at)]),
    )
    await _move_head.execute(tx, tree_size=size, frontier=frontier, checkpoint=checkpoint)


async def checkpoint(tx: AsyncConnection, log_id: str, tree_size: int) -> str | None:
    """The signed checkpoint of exactly this size."""
    statement = select(ledger_checkpoints.c.jws).where(
        ledger_checkpoints.c.log_id == log_id, ledger_checkpoints.c.tree_size == tree_size
    )
    return (await tx.execute(statement)).scalar_one_or_none()


async def leaf_index(tx: AsyncConnection, log_id: str, leaf_hash: bytes) -> int | None:
    """The first place of a leaf hash in the log."""
    statement = select(func.min(ledger_leaves.c.leaf_index)).where(
        ledger_leaves.c.leaf_hash == leaf_hash, ledger_leaves.c.log_id == log_id
    )
    found: int | None = (await tx.execute(statement)).scalar_one()
    return found


async def nodes(tx: AsyncConnection, log_id: str, wanted: Collection[Node]) -> Mapping[Node, bytes]:
    """The hashes of complete subtrees. Raises ``LookupError`` when one isn't stored."""
    found: dict[Node, bytes] = {}
    if inner := [node for node in wanted if node[0]]:
        n = ledger_nodes.c
        statement = select(n.level, n.position, n.hash).where(
            n.log_id == log_id, tuple_(n.level, n.position).in_(inner)
        )
        found |= {(level, position): hash_ for level, position, hash_ in await tx.execute(statement)}
    if leaves := [position for level, position in wanted if not level]:
        c = ledger_leaves.c
        rows = await tx.execute(select(c.leaf_index, c.leaf_hash).where(c.log_id == log_id, c.leaf_index.in_(leaves)))
        found |= {(0, index): hash_ for index, hash_ in rows}
    if len(found) != len(set(wanted)):
        raise LookupError("a node of the ledger is missing")
    return found


async def unerased(tx: AsyncConnection, log_id: str, entry_ids: Collection[str]) -> list[int]:
    """The places of these ids' entries whose bodies are still there and may be erased."""
    statement = (
        select(ledger_leaves.c.leaf_index)
        .join(
            ledger_entries,
            (ledger_entries.c.log_id == ledger_leaves.c.log_id)
            & (ledger_entries.c.leaf_index == ledger_leaves.c.leaf_index),
        )
        .where(ledger_leaves.c.entry_id.in_(sorted(entry_ids)), ledger_leaves.c.log_id == log_id)
        .where(ledger_entries.c.body.is_not(None), ledger_leaves.c.kind != ERASURE)
        .order_by(ledger_leaves.c.leaf_index)
    )
    return list((await tx.execute(statement)).scalars())


async def erase(tx: AsyncConnection, log_id: str, leaf_indexes: Collection[int], erased_by: int) -> None:
    """Empties the bodies of entries; their leaves stay."""
    c = ledger_entries.c
    await tx.execute(
        update(ledger_entries)
        .where(c.log_id == log_id, c.leaf_index.in_(leaf_indexes))
        .values(body=None, erased_by=erased_by)
    )


async def leaves(tx: AsyncConnection, log_id: str, start: int, limit: int) -> list[Leaf]:
    """Up to ``limit`` leaves from place ``start``, in order; one without an entry row has no body."""
    c, e = ledger_leaves.c, ledger_entries.c
    statement = (
        select(c.leaf_index, c.leaf_hash, c.kind, c.entry_id, e.body, e.erased_by)
        .outerjoin(ledger_entries, (e.log_id == c.log_id) & (e.leaf_index == c.leaf_index))
        .where(c.log_id == log_id, c.leaf_index >= start)
        .order_by(c.leaf_index)
        .limit(limit)
    )
    return [Leaf(*row) for row in await tx.execute(statement)]


async def leaves_about(tx: AsyncConnection, log_id: str, entry_ids: Collection[str]) -> list[Leaf]:
    """Every leaf that is about one of these ids, in order."""
    c, e = ledger_leaves.c, ledger_entries.c
    statement = (
        select(c.leaf_index, c.leaf_hash, c.kind, c.entry_id, e.body, e.erased_by)
        .outerjoin(ledger_entries, (e.log_id == c.log_id) & (e.leaf_index == c.leaf_index))
        .where(c.log_id == log_id, c.entry_id.in_(sorted(entry_ids)))
        .order_by(c.leaf_index)
    )
    return [Leaf(*row) for row in await tx.execute(statement)]


async def checkpoints(tx: AsyncConnection, log_id: str, after: int, upto: int | None, limit: int) -> list[Signed]:
    """Up to ``limit`` checkpoints larger than ``after``, and no larger than ``upto``, in order."""
    c = ledger_checkpoints.c
    statement = select(c.tree_size, c.root_hash, c.jws).where(c.log_id == log_id, c.tree_size > after)
    if upto is not None:
        statement = statement.where(c.tree_size <= upto)
    rows = await tx.execute(statement.order_by(c.tree_size).limit(limit))
    return [Signed(*row) for row in rows]


async def nodes_completed_between(tx: AsyncConnection, log_id: str, start: int, end: int) -> dict[Node, bytes]:
    """The subtrees above the leaves that the leaves from ``start`` up to ``end`` completed."""
    n = ledger_nodes.c
    ranges = [
        (n.level == level) & n.position.between(start >> level, (end >> level) - 1)
        for level in range(1, end.bit_length())
        if start >> level < end >> level
    ]
    if not ranges:
        return {}
    rows = await tx.execute(select(n.level, n.position, n.hash).where(n.log_id == log_id, or_(*ranges)))
    return {(level, position): hash_ for level, position, hash_ in rows}


async def count_nodes(tx: AsyncConnection, log_id: str) -> int:
    statement = select(func.count()).select_from(ledger_nodes).where(ledger_nodes.c.log_id == log_id)
    return (await tx.execute(statement)).scalar_one()


async def newest(
    tx: AsyncConnection, log_id: str, kinds: Collection[str], entry_ids: Collection[str]
) -> dict[str, int]:
    """The place of the last entry of these kinds for each id."""
    c = ledger_leaves.c
    statement = (
        select(c.entry_id, func.max(c.leaf_index).label("last"))
        .where(c.entry_id.in_(entry_ids), c.log_id == log_id, c.kind.in_(kinds))
        .group_by(c.entry_id)
    )
    return {row.entry_id: row.last for row in await tx.execute(statement)}


async def begin_snapshot(tx: AsyncConnection) -> None:
    """Makes a fresh read-only unit of work see one state of the log from first to last. SQLite's always does.

    Text that isn't UTF-8, which somebody may have put into an SQLite file, is read all the same: it equals nothing.
    """
    if tx.dialect.name == "postgresql":
        await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    else:
        driver: Any = (await tx.get_raw_connection()).driver_connection
        driver.text_factory = partial(str, encoding="utf-8", errors="replace")


async def size(tx: AsyncConnection) -> int:
    """How many entries the head tells of, for whoever only wants to know how long it will take."""
    found = (await tx.execute(select(ledger_head.c.tree_size))).scalar_one_or_none()
    return found if isinstance(found, int) else 0


class Mistyped(Struct, frozen=True):
    """A value that isn't of its column's type."""

    column: str
    leaf_index: int | None


async def mistyped(tx: AsyncConnection) -> Mistyped | None:
    """The first such value in the log's tables. SQLite alone takes them: its columns' types are but a preference."""
    if tx.dialect.name != "sqlite":
        return None
    for table in (ledger_leaves, ledger_entries, ledger_nodes, ledger_checkpoints, ledger_head):
        wrong = {column.name: func.typeof(column).not_in(_storage_classes(column)) for column in table.columns}
        place = table.c.leaf_index if "leaf_index" in table.c else null()
        flags = [flag.label(name) for name, flag in wrong.items()]
        statement = select(*flags, place.label("place")).where(or_(*wrong.values())).order_by(place).limit(1)
        row = (await tx.execute(statement)).mappings().one_or_none()
        if row is not None:
            column = next(name for name in wrong if row[name])
            return Mistyped(f"{table.name}.{column}", row["place"] if isinstance(row["place"], int) else None)
    return None


def _storage_classes(column: Column[Any]) -> tuple[str, ...]:
    """SQLite's storage classes that the column's values may have."""
    if isinstance(column.type, Integer):
        class_ = "integer"
    else:
        class_ = "blob" if isinstance(column.type, LargeBinary) else "text"
    return (class_, "null") if column.nullable else (class_,)
