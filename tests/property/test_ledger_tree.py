"""What holds for trees of every size, however they grew."""

from hypothesis import given
from hypothesis import strategies as st

from xinyi.ledger import tree
from xinyi.ledger.tree import EMPTY, Frontier, Node

batches = st.lists(st.integers(0, 12), min_size=1, max_size=12).filter(any)


def leaf(index: int) -> bytes:
    return tree.leaf_hash(index.to_bytes(4))


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1 word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return tree.node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


@given(batches)
def test_any_split_into_batches_gives_the_root_of_the_whole_list(sizes: list[int]) -> None:
    frontier, total = EMPTY, 0
    for size in sizes:
        frontier = frontier.grow([leaf(total + i) for i in range(size)]).after
        total += size
        assert frontier == Frontier.from_bytes(frontier.size, frontier.to_bytes())
    assert frontier.size == total
    assert frontier.root() == naive_root([leaf(i) for i in range(total)])


@given(batches)
def test_each_new_leaf_is_proved_at_once_by_the_path_that_a_reader_would_get_later(sizes: list[int]) -> None:
    frontier, total, nodes = EMPTY, 0, dict[Node, bytes]()
    for size in sizes:
        growth = frontier.grow([leaf(total + i) for i in range(size)])
        nodes |= growth.nodes
        frontier = growth.after
        paths = growth.paths(bytes)
        assert len(paths) == size
        for index, path in enumerate(paths, total):
            spans = tree.inclusion_spans(index, frontier.size)
            assert path == tuple(tree.span_hash(span, nodes.__getitem__) for span in spans)
            assert tree.verify_inclusion(leaf(index), index, frontier.size, path, frontier.root())
        total += size


@given(st.integers(1, 70), st.data())
def test_an_inclusion_proof_holds_for_its_leaf_alone(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    growth = EMPTY.grow([leaf(i) for i in range(size)])
    path, root = growth.paths(bytes)[index], growth.after.root()
    assert tree.verify_inclusion(leaf(index), index, size, path, root)
    assert not tree.verify_inclusion(leaf(size), index, size, path, root)
    assert not tree.verify_inclusion(leaf(index), index, size, (*path, root), root)
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index)) if size > 1 else index
    assert (other == index) == tree.verify_inclusion(leaf(index), other, size, path, root)
    if path:
        assert not tree.verify_inclusion(leaf(index), index, size, path[:-1], root)
        at = data.draw(st.integers(0, len(path) - 1))
        bent = (*path[:at], leaf(size), *path[at + 1 :])
        assert not tree.verify_inclusion(leaf(index), index, size, bent, root)


@given(st.integers(1, 70), st.data())
def test_consistency_holds_between_any_two_sizes_and_fails_when_anything_was_changed(
    second: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, second))
    leaves = [leaf(i) for i in range(second)]
    nodes = EMPTY.grow(leaves).nodes
    old, new = EMPTY.grow(leaves[:first]).after.root(), EMPTY.grow(leaves).after.root()
    path = [tree.span_hash(span, nodes.__getitem__) for span in tree.consistency_spans(first, second)]
    assert tree.verify_consistency(first, second, old, new, path)
    assert not tree.verify_consistency(first, second, leaf(second), new, path)
    assert not tree.verify_consistency(first, second, old, leaf(second), path)
    assert not tree.verify_consistency(first, second, old, new, [*path, new])
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not tree.verify_consistency(first, second, old, new, [*path[:at], leaf(second), *path[at + 1 :]])
        assert not tree.verify_consistency(first, second, old, new, path[:-1])

    # A past that was edited has another root, and no path leads from the old one to it.
    edited = data.draw(st.integers(0, first - 1))
    rewritten = [leaf(second) if i == edited else hash_ for i, hash_ in enumerate(leaves)]
    nodes = EMPTY.grow(rewritten).nodes
    path = [tree.span_hash(span, nodes.__getitem__) for span in tree.consistency_spans(first, second)]
    assert not tree.verify_consistency(first, second, old, EMPTY.grow(rewritten).after.root(), path)
