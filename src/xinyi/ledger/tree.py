"""The Merkle tree of RFC 9162 §2.1 (the same hashing as RFC 6962). Pure: it hashes, and reads nothing.

A subtree is addressed as ``(level, position)``: it covers the leaves ``position << level`` up to, but without,
``(position + 1) << level``. Complete subtrees never change, so they are what is stored; everything else is folded from
them. A proof is first a list of spans, then the hashes of those spans, so that whoever stores the nodes can fetch all
of them at once.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias, TypeVar

_Hash = TypeVar("_Hash")

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

Node: TypeAlias = tuple[int, int]
"""``(level, position)`` of a complete subtree; level 0 is a leaf."""


class Span(NamedTuple):
    """The leaves ``start`` up to, but without, ``end``, as the recursion of RFC 9162 cuts them."""

    start: int
    end: int


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def subtrees(span: Span) -> list[Node]:
    """The complete subtrees that tile ``span``, from left to right, largest first."""
    nodes = []
    start, count = span.start, span.end - span.start
    while count:
        level = count.bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
        count -= 1 << level
    return nodes


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of a span from the hashes of its :func:`subtrees`."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def span_hash(span: Span, node: Callable[[Node], bytes]) -> bytes:
    """The hash of ``span``; ``node`` gives the hashes of its :func:`subtrees`."""
    return fold([node(subtree) for subtree in subtrees(span)])


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The spans whose hashes prove leaf ``index`` in a tree of ``size`` leaves, in order (RFC 9162 §2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("the leaf isn't in the tree")
    spans = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(first: int, second: int) -> list[Span]:
    """The spans whose hashes prove that the first ``first`` of ``second`` leaves didn't change (RFC 9162 §2.1.4.1)."""
    if not 0 < first <= second:
        raise ValueError("the first size must be at least 1 and at most the second")
    spans = []
    start, end = 0, second
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start:  # otherwise the verifier holds this root already
        spans.append(Span(start, end))
    return spans[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` proves the leaf hash ``leaf`` at ``index`` under ``root`` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    result = leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and result == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that the tree of ``second`` leaves extends that of ``first`` (RFC 9162 §2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not hashes:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


class Frontier(NamedTuple):
    """The right edge of a tree: its size and the hashes of the complete subtrees that tile it. Enough to grow it."""

    size: int
    hashes: tuple[bytes, ...]

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """Reads :meth:`to_bytes`. Raises ``ValueError`` when ``data`` isn't the frontier of a tree of that size."""
        if size < 0 or len(data) != size.bit_count() * HASH_BYTES:
            raise ValueError("not the frontier of a tree of this size")
        return cls(size, tuple(data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        return b"".join(self.hashes)

    def root(self) -> bytes:
        return fold(self.hashes)

    def grow(self, leaves: Iterable[bytes]) -> "Growth":
        """Appends leaf hashes. Costs two hashes a leaf at most, and O(log n) once."""
        known = dict(zip(subtrees(Span(0, self.size)), self.hashes, strict=True))
        new: dict[Node, bytes] = {(0, self.size + i): leaf for i, leaf in enumerate(leaves)}
        size = self.size + len(new)
        level, start, end = 0, self.size, size
        while start < end:
            level, start, end = level + 1, start >> 1, end >> 1
            for position in range(start, end):
                left, right = (level - 1, 2 * position), (level - 1, 2 * position + 1)
                # Only the first left child can be older than this growth; then it is on the frontier.
                new[level, position] = node_hash(new[left] if left in new else known[left], new[right])
        edge = tuple(new[node] if node in new else known[node] for node in subtrees(Span(0, size)))
        return Growth(self, Frontier(size, edge), new)


EMPTY: Final = Frontier(0, ())


class Growth(NamedTuple):
    """What appending changed: the frontier before and after, and every subtree that became complete."""

    before: Frontier
    after: Frontier
    nodes: dict[Node, bytes]

    def paths(self, written: Callable[[bytes], _Hash]) -> list[tuple[_Hash, ...]]:
        """The inclusion path of each new leaf in the grown tree, in order, its hashes as ``written`` gives them.

        Neighbours share most of their paths, so each hash is written once.
        """
        known = dict(zip(subtrees(Span(0, self.before.size)), self.before.hashes, strict=True)) | self.nodes
        paths: list[tuple[_Hash, ...]] = []

        def descend(start: int, end: int, path: tuple[_Hash, ...]) -> None:
            """Walks the new leaves of a span; ``path`` leads from it to the root, and neighbours share it."""
            if end <= self.before.size:
                return
            if end - start == 1:
                paths.append(path)
                return
            middle = start + _split(end - start)
            if middle > self.before.size:
                descend(start, middle, (written(span_hash(Span(middle, end), known.__getitem__)), *path))
            descend(middle, end, (written(span_hash(Span(start, middle), known.__getitem__)), *path))

        if self.nodes:
            descend(0, self.after.size, ())
        return paths


class Accumulator:
    """A tree that takes one leaf at a time and holds no more than its frontier: for reading a whole log."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> list[tuple[Node, bytes]]:
        """Appends a leaf hash; gives the larger subtrees that it completed, smallest first."""
        completed = []
        position, level, hash_ = self.size, 0, leaf
        while position & 1:
            hash_ = node_hash(self._edge.pop(), hash_)
            position, level = position >> 1, level + 1
            completed.append(((level, position), hash_))
        self._edge.append(hash_)
        self.size += 1
        return completed

    def frontier(self) -> Frontier:
        return Frontier(self.size, tuple(self._edge))


def _split(count: int) -> int:
    """The largest power of two smaller than ``count`` (``k`` in RFC 9162 §2.1.1)."""
    return 1 << ((count - 1).bit_length() - 1)
