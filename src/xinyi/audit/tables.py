"""Acts of the operator, one row each; none is ever changed."""

from sqlalchemy import Column, Index, String, Table, Text

from ..storage.rights import APPEND_ONLY
from ..storage.types import UtcDateTime, metadata

operator_acts = Table(
    "operator_acts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("by", String(100), nullable=False),
    Column("act", String(40), nullable=False),
    Column("about", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "about", "id"),
    info=APPEND_ONLY,
)
