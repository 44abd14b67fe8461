"""Batches and their items, one row each."""

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, String, Table

from ..storage.types import UtcDateTime, metadata

check_batches = Table(
    "check_batches",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("partner_id", String(32), nullable=False),
    Column("client_id", String(32), nullable=False),
    # of a token that is bound to one
    Column("consent_id", String(32)),
    Column("total", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    # items are answered in order: the same transaction stored the results up to this number
    Column("done", Integer, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    # days after its end
    Column("keep_days", Integer, nullable=False),
    # from then on it is as one that was never there; none while it waits or runs
    Column("kept_until", UtcDateTime),
    Index(None, "partner_id", "id"),
)
Index(
    "ix_check_batches_unfinished",
    check_batches.c.done,
    check_batches.c.id,
    sqlite_where=check_batches.c.finished_at.is_(None),
    postgresql_where=check_batches.c.finished_at.is_(None),
)

check_batch_items = Table(
    "check_batch_items",
    metadata,
    Column("batch_id", String(32), nullable=False),
    Column("number", Integer, nullable=False),
    Column("scenario_id", String(64), nullable=False),
    Column("consent_id", String(64), nullable=False),
    Column("reference", String(128), nullable=False),
    PrimaryKeyConstraint("batch_id", "number"),
)
"""Whoever adds to a batch holds its row: a foreign key would look for it once more for every item."""

check_batch_results = Table(
    "check_batch_results",
    metadata,
    Column("batch_id", String(32), nullable=False),
    Column("number", Integer, nullable=False),
    Column("check_id", String(32)),
    Column("outcome", String(16)),
    Column("refusal", String(32)),
    Column("source", String(32)),
    PrimaryKeyConstraint("batch_id", "number"),
)
"""What became of the items up to their batch's ``done``: rows beside the items', since adding a row costs a third of
changing one. ``check_id``: the answer, or
the refusal under a known consent; ``refusal`` and ``source`` (a code and the member to blame) of a refusal."""
