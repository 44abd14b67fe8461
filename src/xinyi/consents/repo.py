"""The queries about consents."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Integer, bindparam, case, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..scenarios.model import Uses
from ..storage.sql import Prepared, one_of
from ..storage.types import UtcDateTime
from .model import Consent, ConsentState, EndReason, Party
from .tables import consents

_FIELDS: Final = Consent.__struct_fields__
_select: Final = select(*(consents.c[name] for name in _FIELDS))
_load: Final = Prepared(lambda dialect: _select.where(one_of(dialect, consents.c.id, "ids")))
_lock: Final = Prepared(
    lambda dialect: _select.where(one_of(dialect, consents.c.id, "ids")).order_by(consents.c.id).with_for_update()
)
_once: Final = consents.c.uses == literal(Uses.ONCE.value)
_count: Final = Prepared(
    lambda dialect: (
        update(consents)
        .where(one_of(dialect, consents.c.id, "ids"))
        .values(
            use_count=consents.c.use_count + bindparam("more", type_=Integer),
            ended_at=case((_once, bindparam("at", type_=UtcDateTime)), else_=consents.c.ended_at),
            ended_as=case((_once, literal(ConsentState.CONSUMED.value)), else_=consents.c.ended_as),
            ended_by=case((_once, literal(Party.PARTNER.value)), else_=consents.c.ended_by),
            end_reason=case((_once, literal(EndReason.USED_UP.value)), else_=consents.c.end_reason),
        )
    )
)


async def add(tx: AsyncConnection, consent: Consent) -> None:
    await tx.execute(insert(consents), asdict(consent))


async def load(tx: AsyncConnection, ids: Collection[str]) -> dict[str, Consent]:
    """The consents with these ids, whoever they belong to."""
    if not ids:
        return {}
    return _consents(await _load.fetch(tx, ids=ids))


async def lock(tx: AsyncConnection, ids: Collection[str]) -> dict[str, Consent]:
    """As :func:`load`, and nobody else changes them until the transaction ends.

    Locked in the order of their ids, so that two batches can't wait for each other.
    """
    if not ids:
        return {}
    return _consents(await _lock.fetch(tx, ids=ids))


async def of_subject(tx: AsyncConnection, subject_id: str) -> list[Consent]:
    """The consents that this subject answered, newest first."""
    wanted = _select.where(consents.c.subject_id == subject_id).order_by(consents.c.id.desc())
    return list(_consents(tuple(row) for row in await tx.execute(wanted)).values())


async def in_force(tx: AsyncConnection, subject_id: str, client_id: str, scenario_id: str) -> list[str]:
    """The ids of the recurring consents that this subject gave to this client for this scenario and nobody ended."""
    wanted = select(consents.c.id).where(
        consents.c.subject_id == subject_id,
        consents.c.client_id == client_id,
        consents.c.scenario_id == scenario_id,
        consents.c.uses == Uses.RECURRING.value,
        consents.c.authorised_at.is_not(None),
        consents.c.ended_at.is_(None),
    )
    return list((await tx.execute(wanted)).scalars())


async def update_one(tx: AsyncConnection, consent: Consent) -> None:
    """Stores the consent as it now is. The caller holds its lock."""
    values = asdict(consent)
    await tx.execute(update(consents).where(consents.c.id == values.pop("id")).values(**values))


async def count_uses(tx: AsyncConnection, uses: Mapping[str, int], at: datetime) -> None:
    """Adds the uses, by consent id; a once-only consent is consumed at ``at`` by the same statement.

    The caller holds the locks and has checked the states.
    """
    by_count: dict[int, list[str]] = {}
    for consent_id, count in uses.items():
        by_count.setdefault(count, []).append(consent_id)
    for count, ids in by_count.items():
        await _count.execute(tx, ids=ids, more=count, at=at)


def _consents(rows: Iterable[Sequence[Any]]) -> dict[str, Consent]:
    found = (dict(zip(_FIELDS, row, strict=True)) for row in rows)
    return {row["id"]: msgspec.convert(row, Consent) for row in found}
