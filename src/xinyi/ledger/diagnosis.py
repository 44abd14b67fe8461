"""What was done to a log whose leaves and signed checkpoints don't agree.

The first contradiction says where something is wrong; what it was shows in the leaves that follow. So each diagnosis
watches the rest of the log, holding no more than one batch of it, and speaks at its end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Final, Protocol

from msgspec import Struct

from .repo import Leaf
from .tree import Frontier, Node, fold

SMALL_BATCH: Final = 64
"""Batches up to this length are tried for every exchange of two entries."""
LARGE_BATCH: Final = 512
"""Batches up to this length are tried for every entry that may be one too many."""
NEIGHBOURS: Final = 256
"""How many entries after a batch are tried in the place of each of its own. A batch of one is tried with all."""


class FaultKind(StrEnum):
    """What happened to the log."""

    EDITED = "edited"
    DELETED = "deleted"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    """It contradicts a checkpoint that was kept elsewhere."""
    FORGED = "forged"
    """It holds a checkpoint that none of the ledger's keys signed."""
    DAMAGED = "damaged"
    """The entries are sound, but what is derived from them, such as the stored nodes of the tree, is not."""


class Fault(Struct, frozen=True):
    """The first fault: the entries it may be, ``first`` up to and with ``last`` (None: no entry), and what shows it."""

    kind: FaultKind
    first: int | None
    last: int | None
    detail: str


class Batch(Struct, frozen=True):
    """The entries since the last good checkpoint, and what the next one vouches for."""

    before: Frontier
    """What the last good checkpoint vouches for."""
    hashes: list[bytes]
    """The leaf hashes that are there."""
    size: int
    """The next checkpoint's size and root."""
    root: bytes

    @property
    def leaves(self) -> range:
        return range(self.before.size, self.size)

    def leads_to_root(self, hashes: Sequence[bytes]) -> bool:
        """Whether the log agrees with the checkpoint once the batch is ``hashes``."""
        return self.before.grow(hashes).after.root() == self.root

    def first_difference(self, stored: Mapping[Node, bytes]) -> range | None:
        """The first pair of leaves that isn't the one under its stored node.

        None when the stored nodes don't lead to the root themselves: nobody signed them.
        """
        before, end = self.before, self.before.size + len(self.hashes)
        odd = self.size & 1
        if not stored or (odd and end != self.size):
            return None
        pairs = range(before.size >> 1, self.size >> 1)
        above = [stored.get((1, pair), b"") for pair in pairs]
        # One level up the tree has the same shape; a last leaf without a neighbour stays as it is.
        half = Frontier(before.size >> 1, before.hashes[: (before.size >> 1).bit_count()])
        if fold([*half.grow(above).after.hashes, *self.hashes[-odd:][:odd]]) != self.root:
            return None
        computed = before.grow(self.hashes).nodes
        pair = next((pair for pair, hash_ in zip(pairs, above, strict=True) if computed.get((1, pair)) != hash_), None)
        return None if pair is None else range(max(before.size, 2 * pair), 2 * pair + 2)


class Diagnosis(Protocol):
    """A fault that is being looked into."""

    @property
    def batch(self) -> Batch | None:
        """The batch that the fault is in, when the tree's stored nodes could narrow its place."""

    def observe(self, leaf: Leaf) -> None:
        """Takes the next leaf of the log."""

    def conclude(self, signed_size: int, stored: Mapping[Node, bytes]) -> Fault:
        """``signed_size`` is the largest size that a checkpoint vouches for; ``stored`` are the tree's nodes above the
        batch, where they are at hand."""


class Missing:
    """The leaf at ``index`` isn't there."""

    def __init__(self, index: int, next_index: int | None = None, batch: Batch | None = None) -> None:
        self._index = index
        self._next = next_index
        self._found = False
        self.batch = batch

    def observe(self, leaf: Leaf) -> None:
        self._found |= leaf.leaf_index == self._index
        if self._next is None:
            self._next = leaf.leaf_index

    def conclude(self, signed_size: int, stored: Mapping[Node, bytes]) -> Fault:
        if self._found:
            return Fault(FaultKind.REORDERED, self._index, self._index, "the entry stands at another place")
        if self._next is not None:
            return Fault(FaultKind.DELETED, self._index, max(self._index, self._next - 1), "the entry isn't there")
        difference = self.batch.first_difference(stored) if self.batch else None
        if difference is not None and difference.start < self._index:
            detail = "an entry is missing, and the later ones have moved up"
            return Fault(FaultKind.DELETED, difference.start, difference.stop - 1, detail)
        last = max(signed_size, self._index + 1) - 1
        return Fault(FaultKind.TRUNCATED, self._index, last, "a checkpoint was signed over more entries")


class OtherBody:
    """The body of entry ``index`` isn't the one that its leaf was made of."""

    batch = None

    def __init__(self, index: int, body_hash: bytes) -> None:
        self._index = index
        self._body_hash = body_hash
        self._found = False

    def observe(self, leaf: Leaf) -> None:
        self._found |= leaf.leaf_hash == self._body_hash

    def conclude(self, signed_size: int, stored: Mapping[Node, bytes]) -> Fault:
        del signed_size, stored
        if self._found:
            return Fault(FaultKind.REORDERED, self._index, self._index, "the body belongs to another entry")
        return Fault(FaultKind.EDITED, self._index, self._index, "the body isn't the one that was recorded")


class Contradicted:
    """A batch whose entries are sound by themselves, but don't lead to the root that was signed over them."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._hashes = batch.hashes
        self._later = 0
        self._repeated: int | None = None
        self._extra: int | None = None
        self._moved = self._place_of(self._exchanges())

    def observe(self, leaf: Leaf) -> None:
        if leaf.leaf_index < self.batch.size + self._later and self._repeated is None:
            self._repeated = leaf.leaf_index
        if self._later == 0 and len(self._hashes) <= LARGE_BATCH:
            self._extra = self._place_of(self._without_one(leaf.leaf_hash))
        nearby = len(self._hashes) <= SMALL_BATCH and self._later < NEIGHBOURS
        if self._moved is None and (nearby or len(self._hashes) == 1):
            self._moved = self._place_of(self._with_one_replaced(leaf.leaf_hash))
        self._later += 1

    def conclude(self, signed_size: int, stored: Mapping[Node, bytes]) -> Fault:
        surplus = self.batch.size + self._later - signed_size
        if self._repeated is not None:
            return Fault(FaultKind.INSERTED, self._repeated, self._repeated, "two entries claim the same place")
        if self._extra is not None and (surplus > 0 or self._moved is None):
            detail = "without this entry the log agrees with its checkpoint"
            return Fault(FaultKind.INSERTED, self._extra, self._extra, detail)
        if self._moved is not None:
            return Fault(FaultKind.REORDERED, self._moved, self._moved, "the entry of this place stands at another")
        where = self.batch.first_difference(stored) or self.batch.leaves
        detail = "the entries don't lead to the root that was signed over them"
        if surplus < 0:
            return Fault(
                FaultKind.DELETED, where.start, where.stop - 1, f"{detail}, and there are fewer than were signed"
            )
        if surplus > 0:
            return Fault(
                FaultKind.INSERTED, where.start, where.stop - 1, f"{detail}, and there are more than were signed"
            )
        return Fault(FaultKind.EDITED, where.start, where.stop - 1, detail)

    def _place_of(self, trials: Iterable[tuple[int, list[bytes]]]) -> int | None:
        """The entry whose change makes the batch lead to the signed root."""
        found = next((i for i, trial in trials if self.batch.leads_to_root(trial)), None)
        return None if found is None else self.batch.before.size + found

    def _exchanges(self) -> Iterator[tuple[int, list[bytes]]]:
        """Each way to exchange two entries of the batch; of a long one, two neighbours."""
        count = len(self._hashes)
        if count > LARGE_BATCH:
            return
        for i, j in combinations(range(count), 2) if count <= SMALL_BATCH else pairwise(range(count)):
            trial = list(self._hashes)
            trial[i], trial[j] = trial[j], trial[i]
            yield i, trial

    def _without_one(self, following: bytes) -> Iterator[tuple[int, list[bytes]]]:
        """Each way to leave one entry out and let the others move up."""
        whole = [*self._hashes, following]
        return ((i, whole[:i] + whole[i + 1 :]) for i in range(len(self._hashes)))

    def _with_one_replaced(self, other: bytes) -> Iterator[tuple[int, list[bytes]]]:
        return ((i, [*self._hashes[:i], other, *self._hashes[i + 1 :]]) for i in range(len(self._hashes)))
