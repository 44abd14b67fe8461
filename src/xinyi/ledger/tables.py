"""The ledger's tables. Rows are only ever added, but for two: the head moves, and the law can empty an entry's body."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, SmallInteger, String, Table, Text

from ..storage.rights import APPEND_ONLY
from ..storage.types import UtcDateTime, metadata

ledger_leaves = Table(
    "ledger_leaves",
    metadata,
    Column("log_id", String(40), primary_key=True),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("entry_id", String(64), nullable=False),
    Index(None, "leaf_hash"),
    Index(None, "entry_id"),
    sqlite_with_rowid=False,
    info=APPEND_ONLY,
)

# Complete subtrees from level 1 up; level 0 are the leaves.
ledger_nodes = Table(
    "ledger_nodes",
    metadata,
    Column("log_id", String(40), primary_key=True),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
    info=APPEND_ONLY,
)

ledger_checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("log_id", String(40), primary_key=True),
    Column("tree_size", BigInteger, primary_key=True, autoincrement=False),
    Column("root_hash", LargeBinary(32), nullable=False),
    Column("jws", Text, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
    info=APPEND_ONLY,
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("log_id", String(40), primary_key=True),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary),
    Column("erased_by", BigInteger),  # the leaf that says why the body is gone
    CheckConstraint("(body IS NULL) = (erased_by IS NOT NULL)", name="erased"),
    info=APPEND_ONLY,  # what the law erases, the tables' owner erases
)

# One row: the lock of every append. It holds all that an append needs to read, and the checkpoint that vouches for it.
ledger_head = Table(
    "ledger_head",
    metadata,
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("log_id", String(40), nullable=False),
    Column("tree_size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("checkpoint", Text),  # null until the first entry
    CheckConstraint("slot = 1", name="single"),
)
