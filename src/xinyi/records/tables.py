"""The tables of records, of what subjects withhold, and of the imports' journal."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ..partners.tables import sources
from ..storage.rights import CHANGING, SHRINKING
from ..storage.types import Json, UtcDateTime, metadata
from ..subjects.tables import subjects

records = Table(
    "records",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", ForeignKey(subjects.c.id), nullable=False),
    Column("record_type", String(32), nullable=False),
    Column("source_id", ForeignKey(sources.c.id), nullable=False),
    Column("source_ref", String(128), nullable=False),
    Column("region", String(6), nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("valid_until", UtcDateTime),
    Column("fields", Json, nullable=False),
    # over everything that the source said, so that the same again is known at a glance
    Column("digest", String(64), nullable=False),
    Column("disputed_at", UtcDateTime),
    Column("suppressed_at", UtcDateTime),
    # which fact it is, where its subject may keep it off: a keyed hash
    Column("fact", String(32)),
    Column("imported_at", UtcDateTime, nullable=False),
    UniqueConstraint("source_id", "source_ref"),
    Index("ix_records_subject_id_record_type", "subject_id", "record_type"),
    info=CHANGING,
)

disputes = Table(
    "disputes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", ForeignKey(subjects.c.id), nullable=False),
    # no foreign key: the record may be taken back
    Column("record_id", String(32), nullable=False),
    Column("record_type", String(32), nullable=False),
    Column("source_id", ForeignKey(sources.c.id), nullable=False),
    Column("source_ref", String(128), nullable=False),
    Column("statement", Text),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("settled_at", UtcDateTime),
    Column("settled_by", String(16)),
    Column("answer", Text),
    Index(None, "subject_id", "id"),
    Index(None, "source_id", "id"),
    Index(None, "record_id"),
)

withholdings = Table(
    "withholdings",
    metadata,
    Column("subject_id", ForeignKey(subjects.c.id), nullable=False),
    Column("scenario_id", String(64), nullable=False),
    Column("record_type", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("subject_id", "scenario_id", "record_type"),
    info=SHRINKING,
)

kept_off = Table(
    "kept_off",
    metadata,
    Column("subject_id", ForeignKey(subjects.c.id), nullable=False),
    # as records name it, which may all be gone
    Column("fact", String(32), nullable=False),
    Column("record_type", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("subject_id", "fact"),
    info=SHRINKING,
)

record_batches = Table(
    "record_batches",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source_id", ForeignKey(sources.c.id), nullable=False),
    Column("format", String(8), nullable=False),
    # of the file; none when it came through a pipe
    Column("digest", String(64)),
    # the import goes on after this line: the same transaction stored the rows before it
    Column("lines", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("updated", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("superseded", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index("ix_record_batches_source_id_digest", "source_id", "digest"),
)

record_batch_chunks = Table(
    "record_batch_chunks",
    metadata,
    Column("batch_id", ForeignKey(record_batches.c.id), nullable=False),
    Column("first_line", Integer, nullable=False),
    # one letter a line: see model.Verdict
    Column("verdicts", Text, nullable=False),
    PrimaryKeyConstraint("batch_id", "first_line"),
)

record_batch_rejections = Table(
    "record_batch_rejections",
    metadata,
    Column("batch_id", ForeignKey(record_batches.c.id), nullable=False),
    Column("line", Integer, nullable=False),
    Column("member", String(64)),
    Column("code", String(64), nullable=False),
    PrimaryKeyConstraint("batch_id", "line"),
)
