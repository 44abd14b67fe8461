"""What Alembic runs: the steps, on the connection and in the transaction that it is given."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeDecorator

from xinyi.storage.types import metadata


def in_plain_types(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """A written step says what the database stores; our own types may change after it."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by making it anew
    render_item=in_plain_types,
    transactional_ddl=True,  # all steps or none
)
context.run_migrations()
