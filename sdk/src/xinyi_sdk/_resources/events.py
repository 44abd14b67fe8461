"""What happened, and the subscriptions that are told of it."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from .._operations import events as operations
from ..models.events import (
    Delivery,
    DeliveryAttempt,
    Event,
    EventPage,
    EventSubscription,
    Redelivered,
    SubscriptionSecret,
)
from .base import Resource


class Events(Resource):
    """What happened to your consents, for whoever takes no webhooks or missed some. Needs the scope ``consents``."""

    def read(self, *, cursor: str | None = None, types: Sequence[str] | None = None) -> EventPage:
        """The next events behind a cursor, oldest first, and the cursor to keep and to come back with."""
        return self._driver.run(operations.read_events(self._engine, cursor, types))

    def list(self, *, cursor: str | None = None, types: Sequence[str] | None = None) -> Iterator[Event]:
        """All events behind a cursor that there are by now, oldest first; without one, of the last thirty days."""
        return self._driver.iterate(lambda at: operations.list_events(self._engine, at, types), cursor)


class EventSubscriptions(Resource):
    """Where events are sent. Verify what arrives with ``xinyi_sdk.webhooks``. Needs the scope ``partner``."""

    def create(self, *, url: str, types: Sequence[str] | None = None, description: str = "") -> SubscriptionSecret:
        """Sends what happens from now on to a URL: these types, or all. The secret is shown this once.

        Raises ``WrongState`` when there are ten, and ``InvalidRequest`` for an address that isn't public or https.
        """
        return self._driver.run(operations.create(self._engine, url, types, description))

    def list(self) -> tuple[EventSubscription, ...]:
        """All of them, the oldest first."""
        return self._driver.run(operations.list_subscriptions(self._engine))

    def get(self, subscription_id: str) -> EventSubscription:
        """One, and how it goes. Raises ``NotFound``."""
        return self._driver.run(operations.get(self._engine, subscription_id))

    def change(
        self,
        subscription_id: str,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        status: str | None = None,
    ) -> EventSubscription:
        """Changes what is given. ``status="disabled"`` gives up what waits; ``"enabled"`` begins afresh."""
        changes = {"url": url, "types": types, "description": description, "status": status}
        return self._driver.run(operations.change(self._engine, subscription_id, changes))

    def delete(self, subscription_id: str) -> None:
        """Ends it, with what waits. Raises ``NotFound``."""
        return self._driver.run(operations.delete(self._engine, subscription_id))

    def roll_secret(self, subscription_id: str, *, overlap_hours: int | None = None) -> SubscriptionSecret:
        """A new secret, shown this once. Meanwhile both sign: verify with a list of both."""
        return self._driver.run(operations.roll_secret(self._engine, subscription_id, overlap_hours))

    def test(self, subscription_id: str) -> DeliveryAttempt:
        """Sends an event of the type ``event_subscription.test`` once, and says at once what came of it."""
        return self._driver.run(operations.test(self._engine, subscription_id))

    def deliveries(self, subscription_id: str, *, state: str | None = None) -> Iterator[Delivery]:
        """How the telling of each event stands, the newest first: all, or those in a state, such as ``dead``."""
        return self._driver.iterate(lambda cursor: operations.deliveries(self._engine, subscription_id, state, cursor))

    def redeliver(
        self, subscription_id: str, *, events: Sequence[str] | None = None, since: datetime | None = None
    ) -> Redelivered:
        """Sends events again: those that are named, all since a moment, or all that were given up."""
        return self._driver.run(operations.redeliver(self._engine, subscription_id, events, since))
