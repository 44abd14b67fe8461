"""The tree against the published vectors of RFC 6962's reference implementation and an independent library."""

from hashlib import sha256
from itertools import pairwise

import pymerkle
import pytest

from xinyi.ledger import tree
from xinyi.ledger.tree import EMPTY, Node, Span

# The entries and roots of the certificate-transparency reference implementation (merkletree/merkle_tree_test.cc).
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [tree.leaf_hash(entry) for entry in ENTRIES]

# (leaf, tree size, path), leaves counted from 0.
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def path_of(spans: list[Span], leaves: list[bytes]) -> list[bytes]:
    nodes = EMPTY.grow(leaves).nodes
    return [tree.span_hash(span, nodes.__getitem__) for span in spans]


def root_of(leaves: list[bytes]) -> bytes:
    return EMPTY.grow(leaves).after.root()


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert EMPTY.root() == tree.EMPTY_ROOT == sha256().digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_paths_are_the_published_ones(index: int, size: int, path: list[str]) -> None:
    made = path_of(tree.inclusion_spans(index, size), LEAVES)
    assert [hash_.hex() for hash_ in made] == path
    assert tree.verify_inclusion(LEAVES[index], index, size, made, root_of(LEAVES[:size]))


@pytest.mark.parametrize(("first", "second", "path"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(first: int, second: int, path: list[str]) -> None:
    made = path_of(tree.consistency_spans(first, second), LEAVES)
    assert [hash_.hex() for hash_ in made] == path
    assert tree.verify_consistency(first, second, root_of(LEAVES[:first]), root_of(LEAVES[:second]), made)


def test_an_independent_library_gives_the_same_roots_and_accepts_the_same_paths() -> None:
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [f"entry {i}".encode() for i in range(33)]
    leaves = [tree.leaf_hash(entry) for entry in entries]
    for size, entry in enumerate(entries, 1):
        oracle.append_entry(entry)
        assert oracle.get_root(size) == root_of(leaves[:size])
        for index in range(size):
            theirs = oracle.prove_inclusion(index + 1, size)
            ours = path_of(tree.inclusion_spans(index, size), leaves)
            assert theirs.path[1:] == ours
            pymerkle.verify_inclusion(leaves[index], oracle.get_root(size), theirs)


def test_a_growth_stores_each_complete_subtree_once() -> None:
    frontier, nodes = EMPTY, dict[Node, bytes]()
    for start, end in pairwise([0, 1, 4, 5, 8, 8, 33]):
        growth = frontier.grow([tree.leaf_hash(bytes([i])) for i in range(start, end)])
        assert nodes.keys().isdisjoint(growth.nodes)
        nodes |= growth.nodes
        frontier = growth.after
    assert nodes == EMPTY.grow([tree.leaf_hash(bytes([i])) for i in range(33)]).nodes
    assert len([node for node in nodes if node[0]]) == 16 + 8 + 4 + 2 + 1


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 4), (4, 4)])
def test_a_leaf_outside_the_tree_has_no_path(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="isn't in the tree"):
        tree.inclusion_spans(index, size)
    assert not tree.verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("first", "second"), [(0, 4), (5, 4), (-1, 4)])
def test_sizes_out_of_order_have_no_consistency_proof(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="first size"):
        tree.consistency_spans(first, second)
    assert not tree.verify_consistency(first, second, LEAVES[0], LEAVES[0], [])


@pytest.mark.parametrize(("size", "data"), [(1, b""), (3, bytes(32)), (-1, b""), (2, bytes(33))])
def test_a_frontier_of_another_size_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="not the frontier"):
        tree.Frontier.from_bytes(size, data)
