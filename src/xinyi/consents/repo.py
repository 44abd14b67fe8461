"""The queries about consents."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.ids import new_id
from ..scenarios.model import Uses
from ..storage.sql import Prepared, one_of
from ..storage.types import UtcDateTime
from .model import Channel, Consent, ConsentState, Decision, EndReason, Extension, Party, due_at
from .tables import consents, copies, extensions, mails

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
    await tx.execute(insert(consents), _values(consent))


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


async def in_force(tx: AsyncConnection, subject_id: str, asked: Consent) -> list[str]:
    """The ids of the recurring consents that this subject gave, nobody ended, and ``asked`` would take the place of.

    Those are to the same client for the same scenario and the same sub-party.
    """
    wanted = select(consents.c.id).where(
        consents.c.subject_id == subject_id,
        consents.c.client_id == asked.client_id,
        consents.c.scenario_id == asked.scenario_id,
        consents.c.sub_party_id.is_not_distinct_from(asked.sub_party_id),
        consents.c.uses == Uses.RECURRING.value,
        consents.c.authorised_at.is_not(None),
        consents.c.ended_at.is_(None),
    )
    return list((await tx.execute(wanted)).scalars())


async def of_partner(
    tx: AsyncConnection,
    partner_id: str,
    *,
    at: datetime,
    state: ConsentState | None = None,
    scenario_id: str | None = None,
    sub_party_id: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[Consent]:
    """A partner's consents, newest first: those in ``state`` at the moment ``at``, from behind the id ``before`` on."""
    wanted = _select.where(consents.c.partner_id == partner_id).order_by(consents.c.id.desc()).limit(limit)
    if scenario_id is not None:
        wanted = wanted.where(consents.c.scenario_id == scenario_id)
    if sub_party_id is not None:
        wanted = wanted.where(consents.c.sub_party_id == sub_party_id)
    if before is not None:
        wanted = wanted.where(consents.c.id < before)
    if state is not None:
        wanted = wanted.where(_is(state, at))
    return list(_consents(tuple(row) for row in await tx.execute(wanted)).values())


def _is(state: ConsentState, at: datetime) -> ColumnElement[bool]:
    """What :func:`model.state` computes, as a condition."""
    c = consents.c
    open_ = c.ended_as.is_(None)
    unanswered = and_(open_, c.authorised_at.is_(None))
    given = and_(open_, c.authorised_at.is_not(None))
    match state:
        case ConsentState.AWAITING_AUTHORISATION:
            return and_(unanswered, c.request_expires_at > at)
        case ConsentState.AUTHORISED:
            return and_(given, c.paused_at.is_(None), c.expires_at > at)
        case ConsentState.PAUSED:
            return and_(given, c.paused_at.is_not(None), c.expires_at > at)
        case ConsentState.EXPIRED:
            late = or_(and_(unanswered, c.request_expires_at <= at), and_(given, c.expires_at <= at))
            return or_(c.ended_as == state.value, late)
        case _:
            return c.ended_as == state.value


async def asked_of(tx: AsyncConnection, keys: Collection[str], at: datetime) -> list[Consent]:
    """What waits for the answer of the subject whose identifier has these keys, newest first."""
    wanted = (
        _select.where(one_of(tx.dialect, consents.c.named_subject, keys))
        .where(_is(ConsentState.AWAITING_AUTHORISATION, at), consents.c.channel == Channel.LINK.value)
        .order_by(consents.c.id.desc())
    )
    return list(_consents(tuple(row) for row in await tx.execute(wanted)).values())


async def to_extend(tx: AsyncConnection, subject_id: str) -> list[Consent]:
    """The consents of this subject for which more time was asked, and not decided yet."""
    wanted = _select.where(consents.c.subject_id == subject_id, consents.c.extension_due_at.is_not(None))
    return list(_consents(tuple(row) for row in await tx.execute(wanted)).values())


def _same_ask(tx: AsyncConnection, partner_id: str, scenario_id: str, keys: Collection[str]) -> ColumnElement[bool]:
    return and_(
        consents.c.partner_id == partner_id,
        consents.c.scenario_id == scenario_id,
        one_of(tx.dialect, consents.c.named_subject, keys),
    )


async def is_asked(tx: AsyncConnection, partner_id: str, scenario_id: str, keys: Collection[str], at: datetime) -> bool:
    """Whether the partner's ask for this scenario waits for the answer of this subject."""
    wanted = select(consents.c.id).where(
        _same_ask(tx, partner_id, scenario_id, keys),
        _is(ConsentState.AWAITING_AUTHORISATION, at),
        consents.c.channel == Channel.LINK.value,
    )
    return (await tx.execute(wanted.limit(1))).first() is not None


async def _moment(tx: AsyncConnection, wanted: Select[Any]) -> datetime | None:
    found: datetime | None = (await tx.execute(wanted)).scalar_one()
    return found


async def last_refusal(
    tx: AsyncConnection, partner_id: str, scenario_id: str, keys: Collection[str]
) -> datetime | None:
    """When this subject last refused what this partner asked them by name for this scenario."""
    wanted = select(func.max(consents.c.ended_at, type_=UtcDateTime)).where(
        _same_ask(tx, partner_id, scenario_id, keys), consents.c.ended_as == ConsentState.REJECTED.value
    )
    return await _moment(tx, wanted)


async def last_reminder(tx: AsyncConnection, consent: Consent) -> datetime | None:
    """When the subject was last reminded of this consent, or of another that the partner asked them for alike."""
    same: ColumnElement[bool] = consents.c.id == consent.id
    if consent.named_subject is not None:
        same = or_(same, _same_ask(tx, consent.partner_id, consent.scenario_id, [consent.named_subject]))
    wanted = select(func.max(consents.c.reminded_at, type_=UtcDateTime)).where(same)
    return await _moment(tx, wanted)


async def claim_due(tx: AsyncConnection, at: datetime, limit: int) -> list[Consent]:
    """Consents to which time has done something, locked; what another worker holds is passed over."""
    wanted = (
        _select.where(consents.c.due_at <= at)
        .order_by(consents.c.due_at, consents.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(_consents(tuple(row) for row in await tx.execute(wanted)).values())


async def add_extension(tx: AsyncConnection, extension: Extension) -> None:
    await tx.execute(insert(extensions), asdict(extension))


async def extensions_of(tx: AsyncConnection, consent_id: str) -> list[Extension]:
    """The extensions of a consent that were asked for, newest first."""
    return await _extensions(tx, extensions.c.consent_id == consent_id)


async def undecided_extension(tx: AsyncConnection, consent_id: str) -> Extension | None:
    """The extension of a consent that nobody has decided about, nor written down as lapsed: there is one at most."""
    found = await _extensions(tx, extensions.c.consent_id == consent_id, extensions.c.decision.is_(None))
    return found[0] if found else None


async def _extensions(tx: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Extension]:
    names = Extension.__struct_fields__
    wanted = select(*(extensions.c[name] for name in names)).where(*conditions)
    rows = await tx.execute(wanted.order_by(extensions.c.id.desc()))
    return [msgspec.convert(dict(zip(names, row, strict=True)), Extension) for row in rows]


async def last_refused_extension(tx: AsyncConnection, consent_id: str) -> datetime | None:
    """When the subject last refused to give this consent more time."""
    wanted = select(func.max(extensions.c.decided_at, type_=UtcDateTime)).where(
        extensions.c.consent_id == consent_id, extensions.c.decision == Decision.REFUSED.value
    )
    return await _moment(tx, wanted)


async def update_extension(tx: AsyncConnection, extension: Extension) -> None:
    """Stores the extension as it now is. The caller holds the lock of its consent."""
    values = asdict(extension)
    same = and_(extensions.c.consent_id == values.pop("consent_id"), extensions.c.id == values.pop("id"))
    await tx.execute(update(extensions).where(same).values(**values))


async def add_copy(tx: AsyncConnection, consent_id: str, jws: str, at: datetime) -> None:
    await tx.execute(insert(copies), {"consent_id": consent_id, "signed_at": at, "jws": jws})


async def copy_of(tx: AsyncConnection, consent_id: str) -> str | None:
    """The newest signed copy of a written consent."""
    wanted = select(copies.c.jws).where(copies.c.consent_id == consent_id).order_by(copies.c.signed_at.desc()).limit(1)
    return (await tx.execute(wanted)).scalar_one_or_none()


class Mail(Struct, frozen=True):
    """A reminder that waits to be sent, at most ``until``."""

    id: str
    consent_id: str
    tries: int
    until: datetime


async def add_mail(tx: AsyncConnection, consent_id: str, at: datetime, until: datetime) -> None:
    values = {"id": new_id("mal", at), "consent_id": consent_id, "tries": 0, "due_at": at, "until": until}
    await tx.execute(insert(mails), values)


async def claim_mails(tx: AsyncConnection, at: datetime, again: datetime, limit: int) -> list[Mail]:
    """The mails that are due. They are due again at ``again``, should whoever claims them not live to send them."""
    wanted = (
        select(mails.c.id, mails.c.consent_id, mails.c.tries, mails.c.until)
        .where(mails.c.due_at <= at)
        .order_by(mails.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [Mail(*row) for row in await tx.execute(wanted)]
    await tx.execute(
        update(mails)
        .where(one_of(tx.dialect, mails.c.id, [mail.id for mail in found]))
        .values(tries=mails.c.tries + 1, due_at=again)
    )
    return found


async def drop_mails(tx: AsyncConnection, ids: Collection[str]) -> None:
    await tx.execute(delete(mails).where(one_of(tx.dialect, mails.c.id, ids)))


async def update_one(tx: AsyncConnection, consent: Consent) -> None:
    """Stores the consent as it now is. The caller holds its lock."""
    values = _values(consent)
    await tx.execute(update(consents).where(consents.c.id == values.pop("id")).values(**values))


def _values(consent: Consent) -> dict[str, Any]:
    return {**asdict(consent), "due_at": due_at(consent)}


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
