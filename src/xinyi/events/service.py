"""What a partner does about its events: asks for them, subscribes, rolls secrets, has them sent again."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import new_id
from ..storage.database import Database
from ..storage.sql import take_turns
from ..web.outbound import OutboundRefused
from . import repo
from .deliveries import disable
from .model import (
    MAX_SUBSCRIPTIONS,
    Attempt,
    Delivery,
    DeliveryState,
    DisabledReason,
    Event,
    EventType,
    NumberedEvent,
    Status,
    Subscription,
)
from .sender import Sender
from .signing import new_secret, shown

MAX_AGAIN: Final = 10_000
"""The most events that one request has sent again."""
_TESTS: Final = 16
"""Tests that one worker makes at the same time."""
_FORGET: Final = 1000


class Standing(Struct, frozen=True):
    """A subscription and what waits for it or was given up."""

    subscription: Subscription
    pending: int
    dead: int


class EventService:
    """Events of partners. ``retention``: how long they can be asked for."""

    def __init__(self, database: Database, clock: Clock, sender: Sender, *, retention: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._sender = sender
        self._retention = retention
        self._tests = asyncio.Semaphore(_TESTS)

    async def after(
        self, partner_id: str, number: int | None, types: Collection[EventType], limit: int
    ) -> tuple[list[NumberedEvent], int]:
        """The partner's events behind this number, in order, and the number to go on behind.

        Without a number they begin with the oldest that is kept.
        """
        async with self._database.read() as tx:
            newest = await repo.newest(tx, partner_id)
            found = await repo.after(tx, partner_id, number or 0, types, limit)
        if len(found) == limit:
            return found, found[-1].number
        return found, max(newest, number or 0, *(each.number for each in found))

    async def subscribe(
        self, partner_id: str, *, url: str, types: Collection[EventType] | None, description: str
    ) -> tuple[Subscription, str]:
        """A new subscription, and its secret, which is shown this once.

        Raises ``XinyiError``: INVALID for a URL that nothing is sent to, WRONG_STATE when there are too many.
        """
        self._check(url)
        now = self._clock.now()
        secret, subscription_id = new_secret(), new_id("evs", now)
        subscription = Subscription(
            id=subscription_id,
            partner_id=partner_id,
            url=url,
            description=description,
            types=None if types is None else tuple(sorted(set(types))),
            status=Status.ENABLED,
            created_at=whole_seconds(now),
            secret=self._sender.seal(secret, subscription_id),
        )
        async with self._database.transaction() as tx:
            await take_turns(tx, f"event subscriptions of {partner_id}")
            if len(await repo.of_partners(tx, [partner_id])) >= MAX_SUBSCRIPTIONS:
                raise XinyiError(Code.WRONG_STATE, f"a partner has at most {MAX_SUBSCRIPTIONS} subscriptions")
            await repo.add(tx, subscription)
        return subscription, shown(secret)

    async def subscriptions(self, partner_id: str) -> list[Standing]:
        """The partner's subscriptions, the oldest first."""
        async with self._database.read() as tx:
            return [await self._standing(tx, each) for each in await repo.of_partners(tx, [partner_id])]

    async def subscription(self, partner_id: str, subscription_id: str) -> Standing:
        """Raises ``XinyiError(NOT_FOUND)`` for what isn't the partner's."""
        async with self._database.read() as tx:
            return await self._standing(tx, await self._own(tx, partner_id, subscription_id))

    async def partner_of(self, subscription_id: str) -> str:
        """Whose the subscription is. Raises ``XinyiError(NOT_FOUND)``."""
        async with self._database.read() as tx:
            found = await repo.find(tx, subscription_id)
        if found is None:
            raise XinyiError(Code.NOT_FOUND, "there is no such subscription")
        return found.partner_id

    async def change(
        self,
        partner_id: str,
        subscription_id: str,
        *,
        url: str | None = None,
        types: Collection[EventType] | None = None,
        all_types: bool = False,
        description: str | None = None,
        status: Status | None = None,
    ) -> Standing:
        """Changes what is given. One that was disabled begins afresh when it is enabled, with what happens then.

        Raises ``XinyiError``: NOT_FOUND; INVALID for a URL that nothing is sent to.
        """
        if url is not None:
            self._check(url)
        async with self._database.transaction() as tx:
            found = await self._own(tx, partner_id, subscription_id, lock=True)
            changed = replace(
                found,
                url=found.url if url is None else url,
                types=None if all_types else found.types if types is None else tuple(sorted(set(types))),
                description=found.description if description is None else description,
            )
            if status is Status.DISABLED and found.status is Status.ENABLED:
                changed = await disable(tx, changed, DisabledReason.BY_PARTNER, self._clock.now())
            elif status is Status.ENABLED and found.status is Status.DISABLED:
                changed = replace(changed, status=status, disabled_reason=None, failures=0, failing_since=None)
            if url not in {None, found.url}:
                changed = replace(changed, failures=0, failing_since=None, held_until=None)
            await repo.store(tx, changed)
            return await self._standing(tx, changed)

    async def unsubscribe(self, partner_id: str, subscription_id: str) -> None:
        """Removes the subscription and what waits for it. Raises ``XinyiError(NOT_FOUND)``."""
        async with self._database.transaction() as tx:
            await repo.remove(tx, await self._own(tx, partner_id, subscription_id, lock=True))

    async def roll(self, partner_id: str, subscription_id: str, overlap: timedelta) -> tuple[Subscription, str]:
        """A new secret, which is shown this once; the one before signs as well for ``overlap``, an older one no more.

        Raises ``XinyiError(NOT_FOUND)``.
        """
        secret = new_secret()
        async with self._database.transaction() as tx:
            found = await self._own(tx, partner_id, subscription_id, lock=True)
            rolled = replace(
                found,
                secret=self._sender.seal(secret, found.id),
                previous_secret=found.secret,
                previous_until=whole_seconds(self._clock.now()) + overlap,
            )
            await repo.store(tx, rolled)
        return rolled, shown(secret)

    async def test(self, partner_id: str, subscription_id: str) -> tuple[Event, Attempt]:
        """Sends a test event now, and tells what came of it; it is stored nowhere and tried once.

        Raises ``XinyiError``: NOT_FOUND; RATE_LIMITED when too many tests run.
        """
        async with self._database.read() as tx:
            found = await self._own(tx, partner_id, subscription_id)
        if self._tests.locked():
            raise XinyiError(Code.RATE_LIMITED, f"{_TESTS} tests run already", retry_after=1)
        now = self._clock.now()
        event = Event(
            new_id("evt", now), EventType.SUBSCRIPTION_TEST, whole_seconds(now), {"subscription_id": found.id}
        )
        async with self._tests:
            return event, await self._sender.send(found, event)

    async def deliveries(
        self, partner_id: str, subscription_id: str, state: DeliveryState | None, before: int | None, limit: int
    ) -> list[Delivery]:
        """How the telling of each event stands, the newest event first. Raises ``XinyiError(NOT_FOUND)``."""
        async with self._database.read() as tx:
            found = await self._own(tx, partner_id, subscription_id)
            return await repo.deliveries(tx, found, state, before, limit)

    async def again(
        self,
        partner_id: str,
        subscription_id: str,
        *,
        events: Collection[str] | None = None,
        since: datetime | None = None,
    ) -> int:
        """As :meth:`again_within`, in a transaction of its own."""
        async with self._database.transaction() as tx:
            return await self.again_within(tx, partner_id, subscription_id, events=events, since=since)

    async def again_within(
        self,
        tx: AsyncConnection,
        partner_id: str,
        subscription_id: str,
        *,
        events: Collection[str] | None = None,
        since: datetime | None = None,
    ) -> int:
        """Sends events again: those that are named, or all of its types since a moment, or else all that were given up.

        At most :data:`MAX_AGAIN`, the oldest first; gives how many. An event that isn't the partner's, or isn't kept
        any more, is left out. Raises ``XinyiError``: NOT_FOUND; WRONG_STATE while the subscription is disabled.
        """
        found = await self._own(tx, partner_id, subscription_id, lock=True)
        which = repo.dead()
        if events is not None:
            which = repo.these(events)
        elif since is not None:
            which = repo.since(since, found.types)
        if found.status is Status.DISABLED:
            raise XinyiError(Code.WRONG_STATE, "the subscription is disabled: enable it first")
        return await repo.again(tx, found, which, self._clock.now(), MAX_AGAIN)

    async def forget(self) -> None:
        """Removes the events that are older than they are kept, and what tells of them."""
        async with self._database.read() as tx:
            old = await repo.any_before(tx, self._clock.now() - self._retention)
        while old:
            async with self._database.transaction() as tx:
                old = await repo.forget(tx, self._clock.now() - self._retention, _FORGET) == _FORGET

    async def _standing(self, tx: AsyncConnection, subscription: Subscription) -> Standing:
        return Standing(subscription, *(await repo.counts(tx, subscription)))

    async def _own(
        self, tx: AsyncConnection, partner_id: str, subscription_id: str, *, lock: bool = False
    ) -> Subscription:
        found = await repo.find(tx, subscription_id, lock=lock)
        if found is None or found.partner_id != partner_id:
            raise XinyiError(Code.NOT_FOUND)
        return found

    def _check(self, url: str) -> None:
        try:
            self._sender.check(url)
        except OutboundRefused as error:
            raise XinyiError(Code.INVALID, str(error), source="/url") from error
