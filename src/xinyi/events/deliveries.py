"""Telling events to subscriptions: at least once, whoever dies on the way.

A delivery is claimed by moving the moment at which it is due behind the time that a try may take. Whoever claimed it
says what came of it; if nobody does, it is due again. So a receiver may be told twice, and never less than once.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock
from ..storage import outbox
from ..storage.database import Database
from . import repo
from .model import (
    PATIENCE,
    Attempt,
    DeliveryState,
    DisabledReason,
    EventType,
    NumberedEvent,
    Status,
    Subscription,
    held_until,
    retry_at,
)
from .sender import Sender

LANE: Final = 8
"""The most messages that one worker has on their way to one receiver; to one that fails it is 1."""
CAPACITY: Final = 256
"""The most that one worker has on their way to all; at most half of them to receivers that fail."""
AT_ONCE: Final = 16
"""Subscriptions whose deliveries one transaction claims."""
_SLACK: Final = timedelta(seconds=1)
"""What a try may take beyond the receiver's time, until its end is noted."""


class Claimed(Struct, frozen=True):
    """A delivery that is this worker's to try."""

    subscription: Subscription
    event: NumberedEvent


class Deliveries:
    """``schedule``: the pauses between tries in seconds; after the last one a delivery is dead."""

    def __init__(self, database: Database, clock: Clock, sender: Sender, *, schedule: Sequence[float]) -> None:
        self._database = database
        self._clock = clock
        self._sender = sender
        self._schedule = tuple(schedule)
        self._random = Random()  # noqa: S311 (to spread tries, not to hide them)
        self._lease = timedelta(seconds=sender.timeout) + _SLACK

    async def claim(self, on_their_way: Collection[Claimed]) -> list[Claimed]:
        """What is due and fits beside what this worker has on its way."""
        free = CAPACITY - len(on_their_way)
        if free <= 0:
            return []
        now = self._clock.now()
        under_way = Counter(each.subscription.id for each in on_their_way)
        failing = {each.subscription.id for each in on_their_way if each.subscription.failures}
        full = failing | {subscription_id for subscription_id, several in under_way.items() if several >= LANE}
        claimed: list[Claimed] = []
        async with self._database.read() as tx:  # most looks find nothing: they wait for no writer
            if not await repo.due(tx, now, but=full, failing_too=True, limit=1, lock=False):
                return []
        async with self._database.transaction() as tx:
            failing_too = len(failing) < CAPACITY // 2
            for subscription in await repo.due(tx, now, but=full, failing_too=failing_too, limit=AT_ONCE, lock=True):
                lane = 1 if subscription.failures else LANE
                room = min(lane - under_way[subscription.id], free)
                if room > 0:
                    found = await repo.claim(tx, subscription, now, now + self._lease, room)
                    claimed += [Claimed(subscription, each) for each in found]
                    free -= len(found)
        return claimed

    async def deliver(self, claimed: Claimed) -> None:
        """Tries once, and notes what came of it."""
        attempt = await self._sender.send(claimed.subscription, claimed.event.event)
        async with self._database.transaction() as tx:
            if attempt.arrived:
                await repo.works(tx, claimed.subscription)
                await self._settle(tx, claimed, attempt, DeliveryState.DELIVERED)
            else:
                await self._failed(tx, claimed, attempt)

    async def _failed(self, tx: AsyncConnection, claimed: Claimed, attempt: Attempt) -> None:
        subscription = await repo.find(tx, claimed.subscription.id, lock=True)
        if subscription is None:  # it was removed meanwhile
            return
        now = self._clock.now()
        failures = subscription.failures + 1
        subscription = replace(
            subscription,
            failures=failures,
            failing_since=subscription.failing_since or now,
            held_until=held_until(now, failures, self._schedule[0]),
        )
        tries = await repo.attempts(tx, subscription, claimed.event.number) + 1
        due_at = retry_at(now, tries, self._schedule, self._random.random())
        state = DeliveryState.DEAD if due_at is None else DeliveryState.PENDING
        await self._settle(tx, claimed, attempt, state, due_at)
        if due_at is not None and (subscription.due_at is None or due_at < subscription.due_at):
            subscription = replace(subscription, due_at=due_at)
        overdue = subscription.failing_since is not None and now - subscription.failing_since >= PATIENCE
        if subscription.status is Status.ENABLED and (attempt.gone or overdue):
            await disable(tx, subscription, DisabledReason.GONE if attempt.gone else DisabledReason.FAILING, now)
        else:
            await repo.store(tx, subscription)

    async def _settle(
        self,
        tx: AsyncConnection,
        claimed: Claimed,
        attempt: Attempt,
        state: DeliveryState,
        due_at: datetime | None = None,
    ) -> None:
        await repo.settle(
            tx,
            claimed.subscription,
            claimed.event.number,
            state=state,
            at=self._clock.now(),
            status=attempt.status,
            failure=attempt.failure,
            due_at=due_at,
        )


async def disable(
    tx: AsyncConnection, subscription: Subscription, reason: DisabledReason, at: datetime
) -> Subscription:
    """Switches the subscription off, gives up what waits for it, and says so in an event of its own.

    The caller holds its lock. The partner's other subscriptions are told, and whoever asks for the events.
    """
    disabled = replace(subscription, status=Status.DISABLED, disabled_reason=reason, due_at=None, held_until=None)
    await repo.store(tx, disabled)
    await repo.give_up(tx, disabled, at)
    told: dict[str, object] = {"subscription_id": disabled.id, "reason": reason.value}
    await outbox.put(tx, [outbox.NewEvent(EventType.SUBSCRIPTION_DISABLED, disabled.partner_id, told)], at)
    structlog.get_logger().warning("event_subscription_disabled", subscription=disabled.id, reason=reason.value)
    return disabled
