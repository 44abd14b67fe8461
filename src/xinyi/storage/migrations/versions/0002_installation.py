"""The environment that a database belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.CheckConstraint("slot = 1", name=op.f("ck_installation_single")),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_installation")),
    )
