"""The queries about refresh tokens."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from msgspec.structs import asdict
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .model import RefreshToken
from .tables import refresh_tokens

_FIELDS: Final = RefreshToken.__struct_fields__


async def add(tx: AsyncConnection, token: RefreshToken) -> None:
    await tx.execute(insert(refresh_tokens).values(asdict(token)))


async def find(tx: AsyncConnection, hashes: Collection[str]) -> RefreshToken | None:
    """The token with one of these hashes."""
    wanted = select(*(refresh_tokens.c[name] for name in _FIELDS)).where(refresh_tokens.c.token_hash.in_(hashes))
    row = (await tx.execute(wanted)).one_or_none()
    return None if row is None else RefreshToken(**dict(zip(_FIELDS, row, strict=True)))


async def in_use(tx: AsyncConnection, families: Collection[str]) -> bool:
    """Whether one of these families has a token that nobody revoked."""
    wanted = select(refresh_tokens.c.family).where(
        refresh_tokens.c.family.in_(families), refresh_tokens.c.revoked_at.is_(None)
    )
    return (await tx.execute(wanted)).first() is not None


async def revoke(tx: AsyncConnection, families: Collection[str], at: datetime) -> None:
    """Revokes the tokens of these families; one that was revoked before keeps its time."""
    await tx.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.family.in_(families), refresh_tokens.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
