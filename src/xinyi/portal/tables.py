"""What a subject wants of the portal, one row for each who ever said so."""

from sqlalchemy import Boolean, Column, ForeignKey, String, Table

from ..storage.types import metadata
from ..subjects.tables import subjects

preferences = Table(
    "subject_preferences",
    metadata,
    Column("subject_id", ForeignKey(subjects.c.id), primary_key=True),
    Column("notice_after_use", Boolean, nullable=False),
    # the newest check that the subject was shown, and the newest that a mail told of: ids sort by time
    Column("seen", String(32), nullable=False),
    Column("mailed", String(32), nullable=False),
)
