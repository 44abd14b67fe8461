"""A long ledger, built in bulk: the tree that the product would have made of as many entries."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import delete

from xinyi.kernel.canonical import b64url
from xinyi.kernel.clock import epoch_seconds
from xinyi.ledger import checkpoint, repo
from xinyi.ledger.model import Checkpoint
from xinyi.ledger.tables import (
    ledger_checkpoints,
    ledger_entries,
    ledger_head,
    ledger_leaves,
    ledger_nodes,
)
from xinyi.ledger.tree import Accumulator, leaf_hash
from xinyi.wiring import Services

from .bulk import Bulk


async def lengthen(services: Services, bulk: Bulk, size: int) -> None:
    """Replaces the log by one of ``size`` entries under a checkpoint that the ledger's own key signed.

    The bodies of the entries are left out: an append reads none of them.
    """
    now = services.clock.now()
    async with services.database.transaction() as tx:
        head = await repo.head(tx)
        assert head is not None
        for table in (ledger_entries, ledger_leaves, ledger_nodes, ledger_checkpoints, ledger_head):
            await tx.execute(delete(table))
    tree, nodes = Accumulator(), list[tuple[str, int, int, bytes]]()

    def leaves() -> Iterator[Sequence[Any]]:
        for index in range(size):
            hash_ = leaf_hash(index.to_bytes(8, "big"))
            nodes.extend((head.log_id, level, position, node) for (level, position), node in tree.add(hash_))
            yield head.log_id, index, hash_, "check", f"bench-{index:012}"

    await bulk.load(ledger_leaves, ("log_id", "leaf_index", "leaf_hash", "kind", "entry_id"), leaves())
    nodes.sort(key=lambda node: node[1:3])
    await bulk.load(ledger_nodes, ("log_id", "level", "position", "hash"), nodes)
    frontier = tree.frontier()
    said = Checkpoint(
        iss=services.settings.issuer,
        log_id=head.log_id,
        tree_size=size,
        root_hash=b64url(frontier.root()),
        iat=epoch_seconds(now),
    )
    signed = checkpoint.sign(said, services.keys.ledger.signing)
    await bulk.load(
        ledger_checkpoints,
        ("log_id", "tree_size", "root_hash", "jws", "issued_at"),
        [(head.log_id, size, frontier.root(), signed, bulk.moment(now))],
    )
    await bulk.load(
        ledger_head,
        ("slot", "log_id", "tree_size", "frontier", "checkpoint"),
        [(1, head.log_id, size, frontier.to_bytes(), signed)],
    )
