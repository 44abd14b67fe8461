"""Verifies a whole log, from the database or from an export, with nothing but the ledger's public keys.

The log is read once, in order, holding only the tree's frontier, the entries since the last checkpoint and the indexes
of erased entries until the entry that says so. Every entry must be the one its leaf was made of, and every signed
checkpoint must be the root of the leaves before it. A checkpoint that someone kept elsewhere shows even a log that was
rewritten from end to end.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.canonical import b64url
from . import repo
from .checkpoint import CheckpointKeys, InvalidCheckpoint
from .diagnosis import Batch, Contradicted, Diagnosis, Fault, FaultKind, Missing, OtherBody
from .export import UnreadableLine, read_header, read_log, read_records
from .model import ERASURE, Checkpoint
from .repo import Head, Leaf, Signed
from .tree import EMPTY, EMPTY_ROOT, Accumulator, Frontier, Node, leaf_hash
from .witness import Hearing, Witness

Progress = Callable[[int], None]
"""Told how many more leaves (of a database) or bytes (of a file) were read."""

LONGEST_BATCH: Final = 100_000
"""A fault in a longer batch isn't narrowed by the stored nodes, which would have to be held."""


class Report(Struct, frozen=True, kw_only=True):
    """What a verification found."""

    log_id: str | None
    entries: int
    """How many entries are there, or come before the fault's place."""
    erased: int
    """How many of them were erased by law: their leaves are proved, their bodies are gone."""
    checkpoints: int
    root: str
    """Base64url of the root over all entries."""
    fault: Fault | None


class Verifier:
    """Reads a log record by record. Stops judging at the first fault, and reads on only to say what it was."""

    def __init__(self, keys: CheckpointKeys, log_id: str, known: Iterable[Checkpoint] = ()) -> None:
        """``known`` are checkpoints of this log that were kept elsewhere, already verified."""
        self._keys = keys
        self._log_id = log_id
        # A checkpoint of no entries agrees with every log.
        self._known = sorted((each for each in known if each.tree_size), key=lambda each: each.tree_size)
        self._confirmed = 0
        """The size of the largest known checkpoint that the log agrees with."""
        self._doubt: Checkpoint | None = None
        """A known checkpoint that the log contradicts."""
        self._tree = Accumulator()
        self._before: Frontier = EMPTY
        """What the last of the log's own checkpoints vouches for."""
        self._batch: list[bytes] = []
        """The leaf hashes since then."""
        self._erased: defaultdict[int, list[int]] = defaultdict(list)
        """Entries without a body, by the entry that has yet to say that they were erased."""
        self._signed_size = max((checkpoint.tree_size for checkpoint in self._known), default=0)
        self._diagnosis: Diagnosis | None = None
        self._fault: Fault | None = None
        self._counts = {"erased": 0, "checkpoints": 0}
        self.differing: Node | None = None
        """The first stored node that differs, for whoever compares them."""
        for checkpoint in self._known:
            if checkpoint.log_id != log_id:
                detail = f"the older checkpoint is of another log, {checkpoint.log_id}"
                self._fault = Fault(FaultKind.REWRITTEN, 0, checkpoint.tree_size - 1, detail)

    @property
    def entries(self) -> int:
        """How many entries were found sound so far."""
        return self._tree.size

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found yet."""
        return self._fault is None and self._diagnosis is None

    def feed(self, record: Leaf | Signed) -> list[tuple[Node, bytes]]:
        """Takes the next record; gives the larger subtrees that it completed."""
        if isinstance(record, Signed):
            self._checkpoint(record)
            return []
        if self._fault is not None:
            return []
        if self._diagnosis is not None:
            self._diagnosis.observe(record)
            return []
        return self._leaf(record)

    def expect(self, newest: Checkpoint) -> None:
        """Tells of a signed checkpoint before the log is read that far."""
        self._signed_size = max(self._signed_size, newest.tree_size)

    @property
    def disputed(self) -> range:
        """The batch that doesn't lead to its checkpoint's root: its stored nodes would narrow the place."""
        batch = None if self._diagnosis is None else self._diagnosis.batch
        return range(0) if batch is None or len(batch.leaves) > LONGEST_BATCH else batch.leaves

    def finish(self, stored: Mapping[Node, bytes] | None = None) -> Report:
        """The verdict, after the last record. ``stored`` are the nodes above the :attr:`disputed` batch."""
        return Report(
            log_id=self._log_id,
            entries=self._tree.size,
            erased=self._counts["erased"],
            checkpoints=self._counts["checkpoints"],
            root=b64url(self._tree.frontier().root()),
            fault=self._verdict(stored or {}),
        )

    def unreadable(self, detail: str) -> None:
        """The next record can't be read."""
        if self.is_sound:
            self._fault = Fault(FaultKind.EDITED, self._tree.size, self._tree.size, detail)

    def _leaf(self, leaf: Leaf) -> list[tuple[Node, bytes]]:
        index = self._tree.size
        if leaf.leaf_index > index:
            self._diagnosis = Missing(index, next_index=leaf.leaf_index)
        elif leaf.leaf_index < index:
            place = leaf.leaf_index
            self._fault = Fault(FaultKind.INSERTED, place, place, "two entries claim the same place")
        elif leaf.body is None:
            self._without_body(leaf)
        elif leaf_hash(leaf.body) != leaf.leaf_hash:
            self._diagnosis = OtherBody(index, leaf_hash(leaf.body))
        elif not _is_labelled(leaf, leaf.body):
            self._fault = Fault(FaultKind.EDITED, index, index, "its kind or id isn't the one in its body")
        if index in self._erased and self.is_sound:
            self._confirm_erasures(leaf)
        if not self.is_sound:
            return []
        completed = self._tree.add(leaf.leaf_hash)
        self._batch.append(leaf.leaf_hash)
        while self._known and self._known[0].tree_size == self._tree.size:
            self._compare(self._known.pop(0))
        return completed

    def _without_body(self, leaf: Leaf) -> None:
        index = leaf.leaf_index
        if leaf.erased_by is None or leaf.erased_by <= index:
            self._fault = Fault(
                FaultKind.DELETED, index, index, "its body is gone, and no entry says that it was erased"
            )
        else:
            self._erased[leaf.erased_by].append(index)
            self._counts["erased"] += 1

    def _confirm_erasures(self, leaf: Leaf) -> None:
        named = _erasure(leaf)
        for index in self._erased.pop(leaf.leaf_index):
            if index not in named:
                detail = f"its body is gone, and entry {leaf.leaf_index} doesn't say that it was erased"
                self._fault = Fault(FaultKind.DELETED, index, index, detail)
                return

    def _compare(self, known: Checkpoint) -> None:
        if known.root_hash == b64url(self._tree.frontier().root()):
            self._confirmed = known.tree_size
        elif self._doubt is None:
            self._doubt = known

    def _checkpoint(self, signed: Signed) -> None:
        checkpoint, complaint = self._read(signed)
        if checkpoint is not None:
            self._signed_size = max(self._signed_size, checkpoint.tree_size)
        if not self.is_sound:
            return
        size = self._tree.size
        if checkpoint is None:
            first = min(self._before.size, max(signed.tree_size, 1) - 1)
            self._fault = Fault(FaultKind.FORGED, first, max(signed.tree_size, 1) - 1, complaint)
        elif checkpoint.tree_size > size:
            self._diagnosis = Missing(size, batch=self._batch_under(signed))
        elif checkpoint.tree_size < size:
            place = max(checkpoint.tree_size, 1) - 1
            self._fault = Fault(FaultKind.DAMAGED, place, place, "the checkpoint after it stands at another place")
        elif checkpoint.root_hash != b64url(self._tree.frontier().root()):
            self._diagnosis = Contradicted(self._batch_under(signed))
        elif not self._contradicts_what_is_known():
            self._before = self._tree.frontier()
            self._batch.clear()
            self._counts["checkpoints"] += 1

    def _batch_under(self, signed: Signed) -> Batch:
        return Batch(self._before, list(self._batch), signed.tree_size, signed.root_hash)

    def _read(self, signed: Signed) -> tuple[Checkpoint | None, str]:
        """What was signed, or why it doesn't count."""
        try:
            checkpoint = self._keys.read(signed.jws)
        except InvalidCheckpoint as error:
            return None, f"the checkpoint of {signed.tree_size} entries: {error}"
        if checkpoint.log_id != self._log_id:
            return None, f"the checkpoint of {signed.tree_size} entries is of another log, {checkpoint.log_id}"
        if (checkpoint.tree_size, checkpoint.root_hash) != (signed.tree_size, b64url(signed.root_hash)):
            return None, f"the checkpoint of {signed.tree_size} entries isn't what was signed"
        return checkpoint, ""

    def _contradicts_what_is_known(self) -> bool:
        if self._doubt is None:
            return False
        detail = f"the first {self._doubt.tree_size} entries aren't those of the older checkpoint"
        self._fault = Fault(FaultKind.REWRITTEN, self._confirmed, self._doubt.tree_size - 1, detail)
        return True

    def _verdict(self, stored: Mapping[Node, bytes]) -> Fault | None:
        size = self._tree.size
        if self._fault is not None:
            return self._fault
        if self._diagnosis is not None:
            return self._diagnosis.conclude(self._signed_size, stored)
        if self._erased:
            index = min(min(indexes) for indexes in self._erased.values())
            return Fault(FaultKind.DELETED, index, index, "its body is gone, and no entry says that it was erased")
        if self._contradicts_what_is_known():
            return self._fault
        if self._signed_size > size:
            last = self._signed_size - 1
            return Fault(FaultKind.TRUNCATED, size, last, "a checkpoint was signed over more entries")
        if self._before.size < size:
            return Fault(FaultKind.INSERTED, self._before.size, size - 1, "no signed checkpoint covers it")
        if self.differing is not None:
            level, position = self.differing
            first, last = position << level, ((position + 1) << level) - 1
            return Fault(FaultKind.DAMAGED, first, last, "a stored node of the tree isn't the hash of its leaves")
        return None


async def verify_database(
    tx: AsyncConnection,
    keys: CheckpointKeys,
    known: Sequence[Checkpoint] = (),
    progress: Progress | None = None,
    witnesses: Sequence[Witness] = (),
) -> Report:
    """Verifies the stored log: its entries, checkpoints, nodes and head, and the rows that the witnesses know.

    What the first witness finds is told before what the second finds. ``tx`` is a fresh unit of work.
    """
    await repo.begin_snapshot(tx)
    if (mistyped := await repo.mistyped(tx)) is not None:
        return _with_mistyped(mistyped)
    head = await repo.head(tx)
    if head is None:
        return _without_head(known, is_empty=await repo.is_empty(tx))
    verifier = Verifier(keys, head.log_id, known)
    newest = _newest(keys, head.checkpoint)
    if newest is not None and newest.log_id == head.log_id:
        verifier.expect(newest)
    hearings = [Hearing(witness, head.log_id) for witness in witnesses]
    async for records in read_log(tx, head.log_id):
        start, completed = verifier.entries, dict[Node, bytes]()
        for record in records:
            completed.update(verifier.feed(record))
        if completed and verifier.differing is None:
            stored = await repo.nodes_completed_between(tx, head.log_id, start, verifier.entries)
            verifier.differing = min((node for node in completed if stored.get(node) != completed[node]), default=None)
        leaves = [record for record in records if isinstance(record, Leaf)]
        if verifier.is_sound:  # else the entries themselves are in doubt
            for hearing in hearings:
                await hearing.hear(tx, leaves)
        if progress is not None:
            progress(len(leaves))
    disputed = verifier.disputed
    stored = (
        {} if disputed is None else await repo.nodes_completed_between(tx, head.log_id, disputed.start, disputed.stop)
    )
    report = verifier.finish(stored)
    if report.fault is None and (complaint := await _derived(tx, head, newest, report)):
        fault = Fault(FaultKind.DAMAGED, None, None, complaint)
        return msgspec.structs.replace(report, fault=fault)
    if report.fault is None:
        for hearing in hearings:
            if (found := await hearing.finish(tx)) is not None:
                return msgspec.structs.replace(report, fault=found)
    return report


def verify_export(
    lines: Iterable[bytes], keys: CheckpointKeys, known: Sequence[Checkpoint] = (), progress: Progress | None = None
) -> Report:
    """Verifies an exported log. Raises ``NotAnExport`` when the lines don't begin as one."""
    source = iter(_told(lines, progress))
    header = read_header(next(source, None))
    verifier = Verifier(keys, header.log_id, known)
    newest = _newest(keys, header.checkpoint)
    if newest is not None and newest.log_id == header.log_id:
        verifier.expect(newest)
    try:
        for record in read_records(source):
            verifier.feed(record)
    except UnreadableLine as error:
        verifier.unreadable(str(error))
    report = verifier.finish()
    if report.fault is None and (complaint := _beyond(newest, header.tree_size, report)):
        fault = Fault(FaultKind.DAMAGED, None, None, complaint)
        return msgspec.structs.replace(report, fault=fault)
    return report


async def _derived(tx: AsyncConnection, head: Head, newest: Checkpoint | None, report: Report) -> str | None:
    """What is wrong with the rows that are made from the leaves, if anything."""
    size = report.entries
    if complaint := _beyond(newest, head.tree_size, report):
        return complaint
    try:
        frontier = Frontier.from_bytes(head.tree_size, head.frontier)
    except ValueError as error:
        return f"the head: {error}"
    if b64url(frontier.root()) != report.root:
        return "the head isn't the frontier of the tree"
    if await repo.count_nodes(tx, head.log_id) != size - size.bit_count():
        return "there are more nodes than the tree has"
    return None


def _beyond(newest: Checkpoint | None, tree_size: int, report: Report) -> str | None:
    """Whether what the head says is another thing than what the log is."""
    if tree_size != report.entries:
        return f"the head says that there are {tree_size} entries"
    if tree_size and (newest is None or newest.tree_size != tree_size or newest.root_hash != report.root):
        return "the head's checkpoint isn't that of the whole log"
    return None


def _without_head(known: Sequence[Checkpoint], *, is_empty: bool) -> Report:
    fault = None
    if not is_empty:
        fault = Fault(FaultKind.DAMAGED, None, None, "there are entries, but the head that says where they end is gone")
    elif signed_size := max((checkpoint.tree_size for checkpoint in known), default=0):
        fault = Fault(FaultKind.TRUNCATED, 0, signed_size - 1, "a checkpoint was signed over more entries")
    return Report(log_id=None, entries=0, erased=0, checkpoints=0, root=b64url(EMPTY_ROOT), fault=fault)


def _with_mistyped(found: repo.Mistyped) -> Report:
    kind = FaultKind.DAMAGED if found.leaf_index is None else FaultKind.EDITED
    fault = Fault(kind, found.leaf_index, found.leaf_index, f"{found.column} holds a value of another type")
    return Report(log_id=None, entries=0, erased=0, checkpoints=0, root=b64url(EMPTY_ROOT), fault=fault)


def _newest(keys: CheckpointKeys, token: str | None) -> Checkpoint | None:
    try:
        return None if token is None else keys.read(token)
    except InvalidCheckpoint:
        return None


def _told(lines: Iterable[bytes], progress: Progress | None) -> Iterator[bytes]:
    for line in lines:
        if progress is not None:
            progress(len(line))
        yield line


class _Label(Struct, frozen=True):
    kind: str | None = None
    id: str | None = None


class _Erasure(Struct, frozen=True, tag_field="kind", tag=ERASURE):
    leaf_indexes: list[int]


_label: Final = msgspec.json.Decoder(_Label)
_erasure_body: Final = msgspec.json.Decoder(_Erasure)


def _is_labelled(leaf: Leaf, body: bytes) -> bool:
    """Whether the row's kind and id are those in the entry, where it has any."""
    try:
        label = _label.decode(body)
    except msgspec.DecodeError:
        return True
    return label.kind in {None, leaf.kind} and label.id in {None, leaf.entry_id}


def _erasure(leaf: Leaf) -> frozenset[int]:
    """The entries that this one says were erased."""
    if leaf.body is None:
        return frozenset()
    try:
        return frozenset(_erasure_body.decode(leaf.body).leaf_indexes)
    except msgspec.DecodeError:
        return frozenset()
