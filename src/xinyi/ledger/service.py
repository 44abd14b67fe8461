"""The ledger's use cases: append within the caller's transaction, prove, erase when the law says so."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.canonical import b64url, canonical_json
from ..kernel.clock import Clock, epoch_seconds, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_id
from ..storage.keys import KeyRing, SigningKey
from . import repo
from .checkpoint import CheckpointKeys, InvalidCheckpoint, sign
from .model import ERASURE, Checkpoint, ConsistencyProof, Held, InclusionProof, NewEntry
from .receipt import read_receipt, receipt, receipts
from .repo import Head
from .tree import (
    EMPTY,
    Frontier,
    Node,
    Span,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    span_hash,
    subtrees,
)

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class LedgerService:
    """The one log of this installation."""

    def __init__(self, keys: KeyRing, issuer: str, clock: Clock) -> None:
        self._ring = keys
        self._published: tuple[Sequence[SigningKey], CheckpointKeys] | None = None
        self._issuer = issuer
        self._clock = clock
        self._trusted: Head | None = None
        """The last head that this process wrote or confirmed: it isn't confirmed again."""
        self._seen = EMPTY
        """The last committed frontier that this process met: the log never shrinks below it."""
        self._writing: object = None
        """The transaction that last appended: what it reads back may still be rolled back."""

    @property
    def known_size(self) -> int | None:
        """How many entries the log had when this process last wrote or confirmed its head; ``None`` before that."""
        return None if self._trusted is None else self._trusted.tree_size

    @property
    def _keys(self) -> CheckpointKeys:
        """The keys that checkpoints are read with: made anew when the ring has changed."""
        ring = self._ring.keys
        if self._published is None or self._published[0] is not ring:
            self._published = ring, CheckpointKeys(self._ring.public_jwks())
        return self._published[1]

    def jwks(self) -> dict[str, Any]:
        """The public keys that have ever signed checkpoints (RFC 7517 §5), with ``xinyi_not_before``, and with
        ``xinyi_not_after`` once the next one is known."""
        return self._ring.public_jwks()

    async def append(self, tx: AsyncConnection, entries: Sequence[NewEntry], at: datetime) -> list[str]:
        """Appends the entries as one batch under one signed checkpoint and gives each its receipt, in order.

        Locks the head until ``tx`` ends, so call it last. The receipts may be shown only once ``tx`` has committed.
        Raises ``XinyiError(UNAVAILABLE)`` when the stored head isn't the one that the last checkpoint vouches for:
        whoever can write to the database still can't have a changed past signed.
        """
        if not entries:
            return []
        head, frontier = await self._locked_head(tx)
        growth = frontier.grow([leaf_hash(entry.body) for entry in entries])
        checkpoint = sign(
            Checkpoint(
                iss=self._issuer,
                log_id=head.log_id,
                tree_size=growth.after.size,
                root_hash=b64url(growth.after.root()),
                iat=epoch_seconds(at),
            ),
            self._ring.signing_at(at),
        )
        await repo.store(tx, head.log_id, entries, growth, checkpoint, at)
        self._trusted = Head(head.log_id, growth.after.size, growth.after.to_bytes(), checkpoint)
        self._writing = _transaction(tx)
        return receipts([entry.body for entry in entries], growth, checkpoint)

    async def erase(self, tx: AsyncConnection, entry_ids: Collection[str], at: datetime) -> int:
        """Empties the bodies of every entry with these ids and appends one that says so; gives how many there were.

        Their leaves stay, so that every other proof still holds. Entries about erasures can't be erased.
        """
        head, frontier = await self._locked_head(tx)
        indexes = await repo.unerased(tx, head.log_id, entry_ids)
        if not indexes:
            return 0
        erasure_id = new_id("ers", at)
        body = {
            "kind": ERASURE,
            "id": erasure_id,
            "leaf_indexes": indexes,
            "as_of": whole_seconds(at),
            "salt": b64url(secrets.token_bytes(16)),
        }
        await self.append(tx, [NewEntry(ERASURE, erasure_id, canonical_json(body))], at)
        await repo.erase(tx, head.log_id, indexes, erased_by=frontier.size)
        return len(indexes)

    async def size(self, tx: AsyncConnection) -> int:
        """How many entries there are."""
        head = await repo.head(tx)
        return 0 if head is None else head.tree_size

    async def latest_checkpoint(self, tx: AsyncConnection) -> str:
        """The newest signed checkpoint. Raises ``XinyiError(NOT_FOUND)`` while the log is empty."""
        return _known((await self._head(tx)).checkpoint)

    async def checkpoint(self, tx: AsyncConnection, tree_size: int) -> str:
        """The signed checkpoint of exactly this size: there is one for each batch, else ``XinyiError(NOT_FOUND)``."""
        head = await self._head(tx)
        return _known(await repo.checkpoint(tx, head.log_id, tree_size))

    def read_checkpoint(self, token: str) -> Checkpoint:
        """What a stored checkpoint says. Raises ``XinyiError(UNAVAILABLE)`` when this ledger didn't sign it."""
        try:
            return self._keys.read(token)
        except InvalidCheckpoint as error:
            raise self._refuse(f"a stored checkpoint: {error}") from error

    async def inclusion(self, tx: AsyncConnection, leaf: bytes | int, tree_size: int | None = None) -> InclusionProof:
        """Proves the leaf with this hash, or at this index, in the tree of ``tree_size`` leaves (default: the newest).

        Raises ``XinyiError(NOT_FOUND)`` when the log has no such leaf or isn't that long.
        """
        head = await self._head(tx)
        size = head.tree_size if tree_size is None else tree_size
        index = leaf if isinstance(leaf, int) else await repo.leaf_index(tx, head.log_id, leaf)
        if index is None or not 0 <= index < size <= head.tree_size:
            raise XinyiError(Code.NOT_FOUND, "the ledger holds no such leaf at that size")
        return InclusionProof(index, size, await self._path(tx, head.log_id, inclusion_spans(index, size)))

    async def held(self, tx: AsyncConnection, entry_ids: Collection[str]) -> list[Held]:
        """Everything that the log holds about these ids, in its order, proved against the newest checkpoint.

        Nothing is verified here: :meth:`verify` does that, as whoever is shown a receipt would.
        """
        head = await repo.head(tx)
        if head is None or head.checkpoint is None or not entry_ids:
            return []
        found = await repo.leaves_about(tx, head.log_id, entry_ids)
        spans = {leaf.leaf_index: inclusion_spans(leaf.leaf_index, head.tree_size) for leaf in found}
        nodes = await self._nodes(tx, head.log_id, [span for each in spans.values() for span in each])
        return [
            Held(
                entry_id=leaf.entry_id,
                kind=leaf.kind,
                leaf_index=leaf.leaf_index,
                body=leaf.body,
                receipt=None
                if leaf.body is None
                else receipt(
                    leaf.body,
                    InclusionProof(
                        leaf.leaf_index,
                        head.tree_size,
                        [b64url(span_hash(span, nodes.__getitem__)) for span in spans[leaf.leaf_index]],
                    ),
                    head.checkpoint,
                ),
            )
            for leaf in found
        ]

    def verify(self, receipt: str) -> Checkpoint:
        """The checkpoint that vouches for a receipt, once everything in it is verified. Raises ``ValueError``."""
        return read_receipt(receipt, self._keys)[1]

    async def consistency(self, tx: AsyncConnection, first: int, second: int | None = None) -> ConsistencyProof:
        """Proves that the log of ``first`` leaves is the beginning of that of ``second`` (default: the newest).

        Raises ``XinyiError(INVALID)`` for sizes out of order, ``XinyiError(NOT_FOUND)`` when the log isn't that long.
        """
        head = await self._head(tx)
        size = head.tree_size if second is None else second
        if not 0 < first <= size:
            raise XinyiError(Code.INVALID, "first must be at least 1 and at most second", source="first")
        if size > head.tree_size:
            raise XinyiError(Code.NOT_FOUND, "the ledger isn't that long", source="second")
        return ConsistencyProof(first, size, await self._path(tx, head.log_id, consistency_spans(first, size)))

    async def _path(self, tx: AsyncConnection, log_id: str, spans: Sequence[Span]) -> list[str]:
        nodes = await self._nodes(tx, log_id, spans)
        return [b64url(span_hash(span, nodes.__getitem__)) for span in spans]

    async def _nodes(self, tx: AsyncConnection, log_id: str, spans: Sequence[Span]) -> Mapping[Node, bytes]:
        wanted: set[Node] = {node for span in spans for node in subtrees(span)}
        try:
            return await repo.nodes(tx, log_id, wanted)
        except LookupError as error:
            raise self._refuse(str(error)) from error

    async def _head(self, tx: AsyncConnection) -> Head:
        return _known(await repo.head(tx))

    async def _locked_head(self, tx: AsyncConnection) -> tuple[Head, Frontier]:
        """The head, locked, and its frontier: only as the last signed checkpoint confirms it."""
        head = await repo.lock_head(tx)
        if head is None:
            await repo.create_head(tx, new_id("log", self._clock.now()))
            head = await repo.lock_head(tx)
            assert head is not None
        if head != self._trusted:
            await self._confirm(tx, head)
        frontier = Frontier.from_bytes(head.tree_size, head.frontier)
        if self._writing is None or self._writing is not _transaction(tx):
            if frontier.size < self._seen.size or (frontier.size == self._seen.size and frontier != self._seen):
                raise self._refuse("the ledger is shorter than it was")
            self._seen = frontier
        return head, frontier

    async def _confirm(self, tx: AsyncConnection, head: Head) -> None:
        """Lets a head pass that another worker wrote, and no other."""
        if head.checkpoint is None:
            if head.tree_size or not await repo.is_empty(tx):
                raise self._refuse("the ledger has entries, but its head has no checkpoint")
            return
        try:
            frontier = Frontier.from_bytes(head.tree_size, head.frontier)
            said = self._keys.read(head.checkpoint)
        except ValueError as error:
            raise self._refuse(f"the ledger's head: {error}") from error
        if (said.log_id, said.tree_size, said.root_hash) != (head.log_id, frontier.size, b64url(frontier.root())):
            raise self._refuse("the ledger's head isn't the one that its checkpoint vouches for")
        self._trusted = head

    def _refuse(self, reason: str) -> XinyiError:
        _log.critical("ledger_refused", reason=reason)
        return XinyiError(Code.UNAVAILABLE, f"{reason}: run `xinyi ledger verify`")


def _known(found: _T | None) -> _T:
    if found is None:
        raise XinyiError(Code.NOT_FOUND, "the ledger holds nothing there")
    return found


def _transaction(tx: AsyncConnection) -> object:
    assert tx.sync_connection is not None, "the unit of work is open"
    return tx.sync_connection.get_transaction()
