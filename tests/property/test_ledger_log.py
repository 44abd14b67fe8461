"""What holds for logs of every shape: every receipt proves its entry, and no tampering passes."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from msgspec.structs import replace

from tests.support.ledger import entry
from xinyi.kernel.canonical import b64url
from xinyi.ledger.checkpoint import CheckpointKeys, sign
from xinyi.ledger.diagnosis import Fault, FaultKind
from xinyi.ledger.model import Checkpoint
from xinyi.ledger.receipt import read_receipt, receipts
from xinyi.ledger.repo import Leaf, Signed
from xinyi.ledger.tree import EMPTY, leaf_hash
from xinyi.ledger.verify import Verifier
from xinyi.storage.keys import SigningKey

KEY = SigningKey({**ECKey.generate_key("P-256").as_dict(private=True), "xinyi_not_before": 0})
KEYS = CheckpointKeys({"keys": [KEY.public_jwk()]})
LOG = "log_00000000000000000000000000"

batches = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def signed_over(size: int, root: bytes) -> str:
    return sign(Checkpoint(iss="https://x", log_id=LOG, tree_size=size, root_hash=b64url(root), iat=0), KEY)


def log_of(sizes: Sequence[int]) -> list[Leaf | Signed]:
    """The records of a log that grew by batches of these sizes."""
    records: list[Leaf | Signed] = []
    frontier = EMPTY
    for size in sizes:
        new = [entry(frontier.size + i) for i in range(size)]
        growth = frontier.grow([leaf_hash(each.body) for each in new])
        for index, each in enumerate(new, frontier.size):
            records.append(Leaf(index, leaf_hash(each.body), each.kind, each.id, each.body, None))
        frontier = growth.after
        records.append(Signed(frontier.size, frontier.root(), signed_over(frontier.size, frontier.root())))
    return records


def fault_of(records: Sequence[Leaf | Signed]) -> Fault | None:
    verifier = Verifier(KEYS, LOG)
    for record in records:
        verifier.feed(record)
    return verifier.finish().fault


@given(batches)
def test_every_receipt_proves_its_entry(sizes: list[int]) -> None:
    frontier = EMPTY
    for size in sizes:
        bodies = [entry(frontier.size + i).body for i in range(size)]
        growth = frontier.grow([leaf_hash(body) for body in bodies])
        frontier = growth.after
        made = receipts(bodies, growth, signed_over(frontier.size, frontier.root()))
        assert [read_receipt(receipt, KEYS)[0] for receipt in made] == bodies


@given(batches)
def test_a_log_that_nobody_touched_is_sound(sizes: list[int]) -> None:
    assert fault_of(log_of(sizes)) is None


@given(batches, st.data())
def test_no_tampering_passes_and_the_fault_is_where_it_was_planted(sizes: list[int], data: st.DataObject) -> None:
    """The database, or the file, in the hands of someone without the ledger's keys."""
    records = log_of(sizes)
    total = sum(sizes)
    places = {record.leaf_index: i for i, record in enumerate(records) if isinstance(record, Leaf)}
    index = data.draw(st.integers(0, total - 1), label="entry")
    leaf = records[places[index]]
    assert isinstance(leaf, Leaf)
    forged = replace(leaf, body=b"forged", leaf_hash=leaf_hash(b"forged"))
    match data.draw(
        st.sampled_from(["body", "hash", "both", "drop", "take", "again", "before", "after"]), label="deed"
    ):
        case "body":
            records[places[index]] = replace(leaf, body=b"forged")
        case "hash":
            records[places[index]] = replace(leaf, leaf_hash=leaf_hash(b"forged"))
        case "both":
            records[places[index]] = forged
        case "drop":
            del records[places[index]]
        case "take":
            records[places[index]] = replace(leaf, body=None, erased_by=data.draw(st.none() | st.integers(0, total)))
        case "again":
            records.insert(places[index], leaf)
        case "before":
            records.insert(places[index], forged)
        case "after":
            records.insert(places[index] + 1, forged)
    fault = fault_of(records)
    assert fault is not None
    assert fault.first is not None
    assert fault.last is not None
    assert fault.first <= index <= fault.last


@given(batches, st.data())
def test_entries_that_changed_places_are_named(sizes: list[int], data: st.DataObject) -> None:
    records = log_of(sizes)
    total = sum(sizes)
    if total < 2:
        return
    one = data.draw(st.integers(0, total - 2))
    other = data.draw(st.integers(one + 1, total - 1))
    places = {record.leaf_index: i for i, record in enumerate(records) if isinstance(record, Leaf)}
    a, b = records[places[one]], records[places[other]]
    if data.draw(st.booleans(), label="renumbered"):
        assert isinstance(a, Leaf)
        assert isinstance(b, Leaf)
        a, b = replace(a, leaf_index=other), replace(b, leaf_index=one)
    records[places[one]], records[places[other]] = b, a
    fault = fault_of(records)
    assert fault is not None
    assert (fault.kind, fault.first) == (FaultKind.REORDERED, one)


@given(batches, st.data())
def test_entries_moved_up_to_close_a_gap_are_noticed(sizes: list[int], data: st.DataObject) -> None:
    records = log_of(sizes)
    gone = data.draw(st.integers(0, sum(sizes) - 1))
    closed: list[Leaf | Signed] = []
    for record in records:
        if isinstance(record, Leaf) and record.leaf_index >= gone:
            if record.leaf_index > gone:
                closed.append(replace(record, leaf_index=record.leaf_index - 1))
        else:
            closed.append(record)
    # As the database would give them: by place, checkpoints after the last entry that they cover.
    closed.sort(key=lambda r: (r.leaf_index + 1, 0) if isinstance(r, Leaf) else (r.tree_size, 1))
    fault = fault_of(closed)
    assert fault is not None
    assert fault.first is not None
    assert fault.kind in {FaultKind.DELETED, FaultKind.TRUNCATED}
    assert fault.kind is FaultKind.TRUNCATED or fault.first <= gone
