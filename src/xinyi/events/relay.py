"""From the outbox into the partners' events: numbered in an order that a reader can rely on.

Rows of the outbox become visible when their transactions end, in any order. Here they get their numbers, by one relay
at a time, so that nobody who has read up to a number will ever find a smaller one that is new.
"""

from typing import Final

from ..kernel.clock import Clock
from ..storage.database import Database
from ..storage.sql import take_turns
from . import repo
from .model import Status

CHUNK: Final = 500
"""The most events that one transaction takes."""


class Relay:
    """Any number of them may run, in any number of processes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> int:
        """Takes what waits in the outbox; gives how many events that were."""
        async with self._database.read() as tx:
            more = await repo.waits(tx)
        total = 0
        while more:
            moved = await self._move()
            total += moved
            more = moved == CHUNK
        return total

    async def _move(self) -> int:
        async with self._database.transaction() as tx:
            await take_turns(tx, "events")
            taken = await repo.take(tx, CHUNK)
            if not taken:
                return 0
            numbered = await repo.number(tx, taken)
            subscriptions = await repo.of_partners(tx, {partner_id for partner_id, _ in taken})
            tellings = [
                (subscription, each)
                for each in numbered
                for subscription in subscriptions
                if subscription.partner_id == each.partner_id
                and subscription.status is Status.ENABLED
                and subscription.wants(each.event.type)
            ]
            await repo.enqueue(tx, tellings, self._clock.now())
            return len(taken)
