"""An installation that tells a partner what happens, and the partner's receivers."""

from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tests.support.pairs import Pair
from tests.support.receivers import Receiver, receiving
from tests.support.world import World, new_world
from xinyi.events.deliveries import Deliveries
from xinyi.events.model import Delivery, DeliveryState, EventType
from xinyi.events.sender import Sender
from xinyi.events.service import EventService, Standing
from xinyi.events.tables import event_subscriptions
from xinyi.storage.outbox import NewEvent, put

PARTNER = "prt_a"
SCHEDULE = (5.0, 300.0, 1800.0)


class Told:
    """Two receivers of one partner, and short ways to let things happen."""

    def __init__(self, world: World, receivers: Sequence[Receiver]) -> None:
        self.world = world
        self.clock = world.clock
        self.receiver, self.other = receivers
        self.secrets: dict[str, bytes] = {}

    @property
    def events(self) -> EventService:
        return self.world.services.events

    async def subscribe(self, receiver: Receiver | None = None, *types: EventType, partner: str = PARTNER) -> str:
        """A subscription of the receiver; gives its id."""
        url = (receiver or self.receiver).url
        made, secret = await self.events.subscribe(partner, url=url, types=types or None, description="")
        self.secrets[made.id] = b64decode(secret.removeprefix("whsec_"))
        return made.id

    async def happens(self, *types: str, partner: str = PARTNER, **data: Any) -> None:
        """Events of these types, each in a transaction of its own."""
        for type_ in types or ("consent.authorised",):
            async with self.world.services.database.transaction() as tx:
                await put(tx, [NewEvent(type_, partner, data)], self.clock.now())

    async def tell(self) -> None:
        """All that is due is tried."""
        await self.world.services.event_worker.drain()

    def deliveries_of_another_worker(self) -> Deliveries:
        services = self.world.services
        sender = Sender(services.outbound, self.clock, services.keys.subject_seal, timeout=0.3)
        return Deliveries(services.database, self.clock, sender, schedule=SCHEDULE)

    async def pass_time(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))
        await self.tell()

    async def standing(self, subscription_id: str, partner: str = PARTNER) -> Standing:
        return await self.events.subscription(partner, subscription_id)

    async def deliveries(self, subscription_id: str, state: DeliveryState | None = None) -> list[Delivery]:
        return await self.events.deliveries(PARTNER, subscription_id, state, None, 1000)


@asynccontextmanager
async def telling(folder: Path, pair: Pair, **settings: Any) -> AsyncGenerator[Told]:
    """The receivers and the installation; its worker tells only when the test says so."""
    receivers = (Receiver(), Receiver())
    async with receiving(*receivers):
        more = {
            "outbound_loopback": " ".join(receiver.origin for receiver in receivers),
            "event_retries": " ".join(map(str, SCHEDULE)),
            "event_timeout": 10,
            **settings,
        }
        async with new_world(folder, pair, **more) as world:
            await world.services.event_worker.stop()
            yield Told(world, receivers)


async def rows(world: World) -> list[tuple[Any, ...]]:
    """The stored subscriptions."""
    async with world.services.database.read() as tx:
        return [tuple(row) for row in await tx.execute(select(event_subscriptions))]
