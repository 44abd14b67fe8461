"""Idempotency keys: rows in the transaction of their effect, unique per owner and key.

The same key with the same request gives the same effect again; with another request it is refused. The row names the
resource that the first request made; its room gives the stored answer. Once that resource is removed, the same request
makes another (:func:`renew`). No key outlives the longest time for which any resource is kept (:func:`forget_some`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, delete, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.errors import Code, XinyiError
from .sql import Prepared, insert_rows, one_of
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
    sqlite_with_rowid=False,
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


_t: Final = idempotency_keys.c
_find: Final = Prepared(
    lambda dialect: select(_t.owner, _t.key, _t.digest, _t.resource).where(
        one_of(dialect, _t.owner, "owners"), one_of(dialect, _t.key, "keys")
    )
)


async def find(tx: AsyncConnection, uses: Collection[tuple[str, str]]) -> dict[tuple[str, str], Use]:
    """The earlier uses of these (owner, key) pairs, in one query."""
    if not uses:
        return {}
    rows = await _find.fetch(tx, owners={owner for owner, _ in uses}, keys={key for _, key in uses})
    found = {(owner, key): Use(owner, key, digest, resource) for owner, key, digest, resource in rows}
    return {pair: use for pair, use in found.items() if pair in uses}


async def store(tx: AsyncConnection, uses: Sequence[Use], at: datetime) -> None:
    """Stores first uses. Raises SQLAlchemy's ``DBAPIError`` when another transaction was first.

    In the order of their keys, so that two transactions can't wait for each other.
    """
    ordered = sorted(uses, key=lambda use: (use.owner, use.key))
    await insert_rows(tx, idempotency_keys, [(use.owner, use.key, use.digest, use.resource, at) for use in ordered])


async def renew(tx: AsyncConnection, used: Use, resource: str, at: datetime) -> None:
    """Gives the key of a request whose resource is gone to the one that the same request makes now.

    Raises ``XinyiError(UNAVAILABLE)`` when another request was first: whoever comes again finds what that made.
    """
    renewed = await tx.execute(
        update(idempotency_keys)
        .where(_t.owner == used.owner, _t.key == used.key, _t.resource == used.resource)
        .values(resource=resource, created_at=at)
    )
    if not renewed.rowcount:
        raise XinyiError(Code.UNAVAILABLE, retry_after=1)


async def forget_some(
    tx: AsyncConnection, before: datetime, limit: int, after: tuple[str, str] = ("", "")
) -> tuple[int, tuple[str, str] | None]:
    """Removes those of the next ``limit`` uses that are from before this moment.

    Gives how many it removed, and the (owner, key) that the next call goes on ``after``; ``None`` at the end. Times
    have no index, which every check would pay for: one walk along the keys looks at each once.
    """
    key = tuple_(_t.owner, _t.key)
    seen = (
        await tx.execute(
            select(_t.owner, _t.key, _t.created_at)
            .where(key > tuple_(*map(literal, after)))
            .order_by(_t.owner, _t.key)
            .limit(limit)
        )
    ).all()
    due = [(owner, name) for owner, name, created_at in seen if created_at < before]
    if due:
        await tx.execute(delete(idempotency_keys).where(key.in_(due), _t.created_at < before))
    return len(due), (seen[-1][0], seen[-1][1]) if seen else None
