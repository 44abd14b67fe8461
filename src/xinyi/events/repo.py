"""The queries about events, subscriptions and deliveries."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import whole_seconds
from ..storage.outbox import outbox
from ..storage.sql import insert_ignoring, insert_rows
from .model import Delivery, DeliveryState, Event, Failure, NumberedEvent, Status, Subscription
from .tables import DEAD, PENDING, event_deliveries, event_heads, event_subscriptions, events

_SUBSCRIPTION: Final = Subscription.__struct_fields__
_subscriptions: Final = select(*(event_subscriptions.c[name] for name in _SUBSCRIPTION))
_told: Final = event_deliveries
_STATES: Final = {DeliveryState.PENDING: PENDING, DeliveryState.DEAD: DEAD}


# --- from the outbox to the events ---


async def waits(tx: AsyncConnection) -> bool:
    """Whether the outbox holds anything."""
    return (await tx.execute(select(outbox.c.place).limit(1))).first() is not None


async def take(tx: AsyncConnection, limit: int) -> list[tuple[str, Event]]:
    """Takes the next events out of the outbox, by partner, in the order in which they were written."""
    oldest = select(outbox.c.place).order_by(outbox.c.place).limit(limit)
    taken = delete(outbox).where(outbox.c.place.in_(oldest)).returning(outbox)
    rows = sorted((await tx.execute(taken)).all(), key=lambda row: row.place)
    return [(row.partner_id, _event(row)) for row in rows]


async def number(tx: AsyncConnection, taken: Sequence[tuple[str, Event]]) -> list[NumberedEvent]:
    """Stores the events with their numbers. The caller is the only one who does so now."""
    heads = event_heads.c
    partners = sorted({partner_id for partner_id, _ in taken})
    found = await tx.execute(select(heads.partner_id, heads.number).where(heads.partner_id.in_(partners)))
    newest: dict[str, int] = dict.fromkeys(partners, 0) | {row.partner_id: row.number for row in found}
    numbered = []
    for partner_id, event in taken:
        newest[partner_id] += 1
        numbered.append(NumberedEvent(partner_id, newest[partner_id], event))
    await insert_rows(
        tx,
        events,
        [(each.partner_id, each.number, *msgspec.structs.astuple(each.event)[:2], each.event.data, each.event.timestamp)
         for each in numbered],
    )  # fmt: skip
    for partner_id in partners:
        head = {"partner_id": partner_id, "number": newest[partner_id]}
        if not (await tx.execute(insert_ignoring(tx, event_heads, ["partner_id"]).values(head))).rowcount:
            await tx.execute(update(event_heads).where(heads.partner_id == partner_id).values(head))
    return numbered


async def enqueue(tx: AsyncConnection, tellings: Sequence[tuple[Subscription, NumberedEvent]], at: datetime) -> None:
    """Lets the events be told to the subscriptions, from ``at`` this moment on."""
    rows = [
        (subscription.partner_id, subscription.id, each.number, DeliveryState.PENDING.value, 0, at, None, None, None)
        for subscription, each in tellings
    ]
    await insert_rows(tx, event_deliveries, rows)
    for subscription_id in sorted({subscription.id for subscription, _ in tellings}):
        await hasten(tx, subscription_id, at)


async def hasten(tx: AsyncConnection, subscription_id: str, at: datetime) -> None:
    """Something is due for the subscription ``at`` this moment."""
    column = event_subscriptions.c
    await tx.execute(
        update(event_subscriptions)
        .where(column.id == subscription_id, or_(column.due_at.is_(None), column.due_at > at))
        .values(due_at=at)
    )


# --- events ---


async def after(
    tx: AsyncConnection, partner_id: str, number: int, types: Collection[str], limit: int
) -> list[NumberedEvent]:
    """The partner's events behind this number, in order; of these types, if any is named."""
    wanted = select(events).where(events.c.partner_id == partner_id, events.c.number > number)
    if types:
        wanted = wanted.where(events.c.type.in_(sorted(types)))
    return _numbered(await tx.execute(wanted.order_by(events.c.number).limit(limit)))


async def newest(tx: AsyncConnection, partner_id: str) -> int:
    """The number of the partner's newest event; 0 when there is none."""
    found = await tx.execute(select(event_heads.c.number).where(event_heads.c.partner_id == partner_id))
    return int(found.scalar_one_or_none() or 0)


async def any_before(tx: AsyncConnection, moment: datetime) -> bool:
    """Whether there is an event from before this moment."""
    return (await tx.execute(select(events.c.number).where(events.c.at < moment).limit(1))).first() is not None


async def forget(tx: AsyncConnection, before: datetime, limit: int) -> int:
    """Removes the oldest of the events from before this moment, and what tells of them; gives how many."""
    found = (
        await tx.execute(
            select(events.c.partner_id, events.c.number).where(events.c.at < before).order_by(events.c.at).limit(limit)
        )
    ).all()
    for partner_id in {row.partner_id for row in found}:
        numbers = [row.number for row in found if row.partner_id == partner_id]
        await tx.execute(delete(_told).where(_told.c.partner_id == partner_id, _told.c.number.in_(numbers)))
        await tx.execute(delete(events).where(events.c.partner_id == partner_id, events.c.number.in_(numbers)))
    return len(found)


# --- subscriptions ---


async def add(tx: AsyncConnection, subscription: Subscription) -> None:
    await tx.execute(insert(event_subscriptions), asdict(subscription))


async def store(tx: AsyncConnection, subscription: Subscription) -> None:
    """Stores the subscription as it now is. The caller holds its lock."""
    values = asdict(subscription)
    await tx.execute(update(event_subscriptions).where(event_subscriptions.c.id == values.pop("id")).values(**values))


async def remove(tx: AsyncConnection, subscription: Subscription) -> None:
    """Removes the subscription, and what waits for it."""
    await tx.execute(delete(_told).where(*_of(subscription)))
    await tx.execute(delete(event_subscriptions).where(event_subscriptions.c.id == subscription.id))


async def find(tx: AsyncConnection, subscription_id: str, *, lock: bool = False) -> Subscription | None:
    """The subscription, whoever's it is; with ``lock`` nobody else changes it until the transaction ends."""
    wanted = _subscriptions.where(event_subscriptions.c.id == subscription_id)
    found = _several(await tx.execute(wanted.with_for_update() if lock else wanted))
    return found[0] if found else None


async def of_partners(tx: AsyncConnection, partner_ids: Collection[str]) -> list[Subscription]:
    """The partners' subscriptions, the oldest first."""
    wanted = _subscriptions.where(event_subscriptions.c.partner_id.in_(sorted(partner_ids)))
    return _several(await tx.execute(wanted.order_by(event_subscriptions.c.id)))


# --- deliveries ---


async def due(
    tx: AsyncConnection, at: datetime, *, but: Collection[str], failing_too: bool, limit: int, lock: bool
) -> list[Subscription]:
    """Subscriptions with something due. With ``lock`` nobody else is at them, and those of others are passed over."""
    column = event_subscriptions.c
    wanted = _subscriptions.where(
        column.status == Status.ENABLED.value,
        column.due_at <= at,
        or_(column.held_until.is_(None), column.held_until <= at),
    )
    if but:
        wanted = wanted.where(column.id.not_in(sorted(but)))
    if not failing_too:
        wanted = wanted.where(column.failures == 0)
    wanted = wanted.order_by(column.due_at).limit(limit)
    return _several(await tx.execute(wanted.with_for_update(skip_locked=True) if lock else wanted))


async def claim(
    tx: AsyncConnection, subscription: Subscription, at: datetime, until: datetime, limit: int
) -> list[NumberedEvent]:
    """The subscription's next due events, oldest first: nobody else tries them before ``until``.

    The caller holds the subscription's lock.
    """
    wanted = (
        select(events)
        .join(_told, and_(_told.c.partner_id == events.c.partner_id, _told.c.number == events.c.number))
        .where(*_of(subscription), PENDING, _told.c.due_at <= at)
        .order_by(_told.c.number)
        .limit(limit)
    )
    claimed = _numbered(await tx.execute(wanted))
    if claimed:
        numbers = _told.c.number.in_([each.number for each in claimed])
        await tx.execute(update(_told).where(*_of(subscription), numbers, PENDING).values(due_at=until))
    next_due = select(func.min(_told.c.due_at)).where(*_of(subscription), PENDING).scalar_subquery()
    await tx.execute(
        update(event_subscriptions).where(event_subscriptions.c.id == subscription.id).values(due_at=next_due)
    )
    return claimed


async def works(tx: AsyncConnection, subscription: Subscription) -> None:
    """The receiver took something: what was noted of its failures is over."""
    column = event_subscriptions.c
    await tx.execute(
        update(event_subscriptions)
        .where(column.id == subscription.id, column.failures > 0)
        .values(failures=0, failing_since=None, held_until=None)
    )


async def settle(
    tx: AsyncConnection,
    subscription: Subscription,
    number: int,
    *,
    state: DeliveryState,
    at: datetime,
    status: int | None,
    failure: Failure | None,
    due_at: datetime | None = None,
) -> None:
    """Notes one more try of a delivery that is pending, and what becomes of it."""
    await tx.execute(
        update(_told)
        .where(*_of(subscription), _told.c.number == number, PENDING)
        .values(
            state=state.value,
            attempts=_told.c.attempts + 1,
            due_at=_told.c.due_at if due_at is None else due_at,
            settled_at=None if state is DeliveryState.PENDING else at,
            status=status,
            failure=None if failure is None else failure.value,
        )
    )


async def give_up(tx: AsyncConnection, subscription: Subscription, at: datetime) -> None:
    """All that waits for the subscription is dead."""
    await tx.execute(
        update(_told)
        .where(*_of(subscription), PENDING)
        .values(state=DeliveryState.DEAD.value, settled_at=at, failure=Failure.SWITCHED_OFF.value)
    )


async def attempts(tx: AsyncConnection, subscription: Subscription, number: int) -> int:
    """How often the delivery was tried."""
    wanted = select(_told.c.attempts).where(*_of(subscription), _told.c.number == number)
    return int((await tx.execute(wanted)).scalar_one_or_none() or 0)


async def deliveries(
    tx: AsyncConnection, subscription: Subscription, state: DeliveryState | None, before: int | None, limit: int
) -> list[Delivery]:
    """The subscription's deliveries, the newest event first, below this number."""
    wanted = _deliveries().where(*_of(subscription))
    if state is not None:
        wanted = wanted.where(_STATES.get(state, _told.c.state == state.value))
    if before is not None:
        wanted = wanted.where(_told.c.number < before)
    rows = await tx.execute(wanted.order_by(_told.c.number.desc()).limit(limit))
    return [msgspec.convert(dict(zip(Delivery.__struct_fields__, row, strict=True)), Delivery) for row in rows]


async def again(
    tx: AsyncConnection, subscription: Subscription, which: ColumnElement[bool], at: datetime, limit: int
) -> int:
    """Lets the partner's events of which ``which`` holds be told once more, from now on; gives how many.

    The caller holds the subscription's lock. Those that wait anyway are left as they are, but tried at once.
    """
    wanted = (
        select(events.c.number, _told.c.state)
        .outerjoin(
            _told,
            and_(
                _told.c.partner_id == events.c.partner_id,
                _told.c.number == events.c.number,
                _told.c.subscription_id == subscription.id,
            ),
        )
        .where(events.c.partner_id == subscription.partner_id, which)
        .order_by(events.c.number)
        .limit(limit)
    )
    rows = (await tx.execute(wanted)).all()
    fresh = [row.number for row in rows if row.state is None]
    known = [row.number for row in rows if row.state is not None]
    await insert_rows(
        tx,
        event_deliveries,
        [
            (subscription.partner_id, subscription.id, number, DeliveryState.PENDING.value, 0, at, None, None, None)
            for number in fresh
        ],
    )
    if known:
        settled = _told.c.state != DeliveryState.PENDING.value
        await tx.execute(
            update(_told)
            .where(*_of(subscription), _told.c.number.in_(known))
            .values(
                state=DeliveryState.PENDING.value,
                attempts=case((settled, 0), else_=_told.c.attempts),
                due_at=at,
                settled_at=None,
            )
        )
    if rows:
        await hasten(tx, subscription.id, at)
    return len(rows)


def these(event_ids: Collection[str]) -> ColumnElement[bool]:
    """For :func:`again`: the events with these ids."""
    return events.c.id.in_(sorted(event_ids))


def since(moment: datetime, types: Collection[str] | None) -> ColumnElement[bool]:
    """For :func:`again`: the events since this moment; of these types, unless all are wanted."""
    happened = events.c.at >= moment
    return happened if types is None else and_(happened, events.c.type.in_(sorted(types)))


def dead() -> ColumnElement[bool]:
    """For :func:`again`: the events that were given up."""
    return DEAD


async def counts(tx: AsyncConnection, subscription: Subscription) -> tuple[int, int]:
    """How many of the subscription's deliveries are pending, and how many are dead."""
    wanted = (select(func.count()).where(*_of(subscription), which).scalar_subquery() for which in (PENDING, DEAD))
    pending, dead_ = (await tx.execute(select(*wanted))).one()
    return pending, dead_


def _deliveries() -> Select[Any]:
    return select(
        _told.c.number,
        events.c.id.label("event_id"),
        events.c.type.label("event_type"),
        _told.c.state,
        _told.c.attempts,
        _told.c.due_at,
        _told.c.settled_at,
        _told.c.status,
        _told.c.failure,
    ).join(events, and_(_told.c.partner_id == events.c.partner_id, _told.c.number == events.c.number))


def _of(subscription: Subscription) -> tuple[ColumnElement[bool], ...]:
    return (_told.c.partner_id == subscription.partner_id, _told.c.subscription_id == subscription.id)


def _several(rows: Any) -> list[Subscription]:
    return [msgspec.convert(dict(zip(_SUBSCRIPTION, row, strict=True)), Subscription) for row in rows]


def _numbered(rows: Any) -> list[NumberedEvent]:
    return [NumberedEvent(row.partner_id, row.number, _event(row)) for row in rows]


def _event(row: Any) -> Event:
    return Event(row.id, row.type, whole_seconds(row.at), row.data)
