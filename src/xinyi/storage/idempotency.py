"""Idempotency keys: rows in the transaction of their effect, unique per owner and key.

The same key with the same request gives the same effect again; with another request it is refused. The row names the
resource that the first request made; its room gives the stored answer.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.errors import Code, XinyiError
from .types import UtcDateTime, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("resource", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("owner", "key"),
)


class Use(Struct, frozen=True):
    """One use of a key: ``owner`` is the partner or source, ``digest`` covers the route and the body."""

    owner: str
    key: str
    digest: str
    resource: str

    def require_same(self, digest: str) -> None:
        """Raises ``XinyiError(IDEMPOTENCY_KEY_REUSED)`` unless the request is the one that first used the key."""
        if self.digest != digest:
            raise XinyiError(Code.IDEMPOTENCY_KEY_REUSED, source="idempotency-key")


async def find(tx: AsyncConnection, uses: Collection[tuple[str, str]]) -> dict[tuple[str, str], Use]:
    """The earlier uses of these (owner, key) pairs, in one query."""
    if not uses:
        return {}
    table = idempotency_keys.c
    rows = await tx.execute(
        select(table.owner, table.key, table.digest, table.resource).where(
            table.owner.in_({owner for owner, _ in uses}), table.key.in_({key for _, key in uses})
        )
    )
    found = {(row.owner, row.key): Use(row.owner, row.key, row.digest, row.resource) for row in rows}
    return {pair: use for pair, use in found.items() if pair in uses}


async def store(tx: AsyncConnection, uses: Sequence[Use], at: datetime) -> None:
    """Stores first uses. Raises SQLAlchemy's ``IntegrityError`` when another transaction was first."""
    if uses:
        await tx.execute(
            insert(idempotency_keys),
            [
                {"owner": use.owner, "key": use.key, "digest": use.digest, "resource": use.resource, "created_at": at}
                for use in uses
            ],
        )
