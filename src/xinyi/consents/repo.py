"""The queries about consents."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Select, bindparam, case, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..scenarios.model import Uses
from .model import Consent, ConsentState, EndReason, Party
from .tables import consents

_FIELDS: Final = Consent.__struct_fields__
_select: Final = select(*(consents.c[name] for name in _FIELDS))


async def add(tx: AsyncConnection, consent: Consent) -> None:
    await tx.execute(insert(consents), asdict(consent))


async def load(tx: AsyncConnection, ids: Collection[str]) -> dict[str, Consent]:
    """The consents with these ids, whoever they belong to."""
    if not ids:
        return {}
    return await _read(tx, _select.where(consents.c.id.in_(ids)))


async def lock(tx: AsyncConnection, ids: Collection[str]) -> dict[str, Consent]:
    """As :func:`load`, and nobody else changes them until the transaction ends.

    Locked in the order of their ids, so that two batches can't wait for each other.
    """
    if not ids:
        return {}
    wanted = _select.where(consents.c.id.in_(sorted(ids))).order_by(consents.c.id)
    return await _read(tx, wanted.with_for_update())


async def of_subject(tx: AsyncConnection, subject_id: str) -> list[Consent]:
    """The consents that this subject answered, newest first."""
    wanted = _select.where(consents.c.subject_id == subject_id).order_by(consents.c.id.desc())
    return list((await _read(tx, wanted)).values())


async def update_one(tx: AsyncConnection, consent: Consent) -> None:
    """Stores the consent as it now is. The caller holds its lock."""
    values = asdict(consent)
    await tx.execute(update(consents).where(consents.c.id == values.pop("id")).values(**values))


async def count_uses(tx: AsyncConnection, uses: Mapping[str, int], at: datetime) -> None:
    """Adds the uses, by consent id; a once-only consent is consumed at ``at`` by the same statement.

    The caller holds the locks and has checked the states.
    """
    if not uses:
        return
    once = consents.c.uses == literal(Uses.ONCE.value)
    statement = (
        update(consents)
        .where(consents.c.id == bindparam("consent_id"))
        .values(
            use_count=consents.c.use_count + bindparam("more"),
            ended_at=case((once, bindparam("at", type_=consents.c.ended_at.type)), else_=consents.c.ended_at),
            ended_as=case((once, literal(ConsentState.CONSUMED.value)), else_=consents.c.ended_as),
            ended_by=case((once, literal(Party.PARTNER.value)), else_=consents.c.ended_by),
            end_reason=case((once, literal(EndReason.USED_UP.value)), else_=consents.c.end_reason),
        )
    )
    rows: Sequence[dict[str, Any]] = [{"consent_id": id_, "more": uses[id_], "at": at} for id_ in sorted(uses)]
    await tx.execute(statement, rows)


async def _read(tx: AsyncConnection, wanted: Select[Any]) -> dict[str, Consent]:
    found = (dict(zip(_FIELDS, row, strict=True)) for row in await tx.execute(wanted))
    return {row["id"]: msgspec.convert(row, Consent) for row in found}
