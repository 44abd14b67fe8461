"""One message to one receiver, signed; and what came of it."""

from typing import Final

import structlog

from ..kernel.clock import Clock
from ..storage.keys import Secret
from ..storage.sealing import Seal
from ..telemetry.logs import log_unforeseen
from ..telemetry.metrics import Metrics
from ..web.outbound import Outbound, OutboundFailed, OutboundRefused
from .model import Attempt, Event, Failure, Subscription
from .signing import signed_headers

ANSWER_LIMIT: Final = 64 * 1024
"""The most bytes of a receiver's answer, which nobody reads."""


class Sender:
    """Seals and opens the subscriptions' secrets, and signs with them. ``timeout``: seconds for a whole answer.

    ``metrics`` count what came of each attempt.
    """

    def __init__(
        self, outbound: Outbound, clock: Clock, secret: Secret, *, timeout: float, metrics: Metrics | None = None
    ) -> None:
        self._metrics = metrics or Metrics()
        self._outbound = outbound
        self._clock = clock
        self._seal = Seal(secret, "event subscriptions")
        self.timeout = timeout

    def seal(self, secret: bytes, subscription_id: str) -> bytes:
        """The secret as it is stored in the row of this subscription."""
        return self._seal.seal(secret, subscription_id)

    def check(self, url: str) -> None:
        """Raises ``OutboundRefused`` for a URL that nothing is sent to."""
        self._outbound.check(url)

    async def send(self, subscription: Subscription, event: Event) -> Attempt:
        """Tries once. The receiver took it when it answers 2xx; redirects aren't followed."""
        try:
            attempt = await self._send(subscription, event)
        except Exception as error:  # noqa: BLE001 (uncounted it would be tried for ever)
            log_unforeseen(error)
            attempt = Attempt(Failure.UNREACHABLE)
        self._metrics.attempted(attempt.failure)
        return attempt

    async def _send(self, subscription: Subscription, event: Event) -> Attempt:
        at, body = self._clock.now(), event.body()
        sealed = [subscription.secret]
        if subscription.previous_secret is not None and subscription.previous_until is not None:
            sealed += [subscription.previous_secret] if at < subscription.previous_until else []
        keys = [self._seal.open(each, subscription.id) for each in sealed]
        headers = {
            "content-type": "application/json",
            "user-agent": "xinyi-events",
            **signed_headers(event.id, at, body, keys),
        }
        try:
            answer = await self._outbound.post(
                subscription.url, body=body, headers=headers, timeout=self.timeout, limit_bytes=ANSWER_LIMIT
            )
        except OutboundRefused:
            structlog.get_logger().warning("event_address_refused", subscription=subscription.id)
            return Attempt(Failure.UNREACHABLE)
        except OutboundFailed:
            return Attempt(Failure.UNREACHABLE)
        return Attempt(None if 200 <= answer.status < 300 else Failure.STATUS, answer.status)
