"""The keys that clients publish at an address of their own (``jwks_uri``, RFC 7591 §2), fetched within bounds.

Nothing that a client publishes holds up another client, and no address is asked more than twice a minute, however
often somebody names a key that isn't there. Client ids are no secret, since browsers carry them: that naming one may
take as long as a fetch tells nothing.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import structlog
from msgspec import Struct

from ..kernel.clock import Clock
from ..kernel.errors import XinyiError
from ..web.body import decode_json
from ..web.outbound import Outbound, OutboundError, OutboundResponse
from .keys import published_keys

USUAL: Final = timedelta(minutes=10)
"""How long a set is fresh when the answer doesn't say."""
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=1)
STALE: Final = timedelta(hours=1)
"""How long a set is still used when a fresh one can't be had. A key that was removed works no longer than
:data:`LONGEST` and this."""
AGAIN: Final = timedelta(seconds=30)
"""The least time between two tries to fetch a set, whether the first one failed or lacked the key that is named."""
TIMEOUT: Final = 3.0
"""Seconds for a fetch: whoever waits for it answers slower by no more than this."""
LIMIT_BYTES: Final = 64 * 1024
_HELD: Final = 1024

_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,;])", re.IGNORECASE)
_log = structlog.get_logger(__name__)

Jwk = dict[str, Any]


class _Held(Struct, frozen=True):
    """What is known of one address."""

    keys: Sequence[Jwk]
    tried_at: datetime
    fresh_until: datetime
    usable_until: datetime


class PublishedKeys:
    """Fetches sets when they are needed, and keeps those of the clients seen lately."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._flights: dict[str, asyncio.Task[None]] = {}

    async def get(self, uri: str, kid: str | None) -> Sequence[Jwk]:
        """The keys at ``uri``; none when they can't be had. ``kid``: the key that is looked for, if it is named.

        A set that isn't fresh any more is used while a new one is fetched. A set that lacks the named key, or that
        was never fetched, is waited for.
        """
        held, now = self._held.get(uri), self._clock.now()
        if held is None:
            await self._fetched(uri)
        elif now >= held.tried_at + AGAIN:
            if now >= held.usable_until or not _has(held.keys, kid):
                await self._fetched(uri)
            elif now >= held.fresh_until:
                self._fetch(uri)
        held = self._held.get(uri)
        return held.keys if held is not None and now < held.usable_until else ()

    async def close(self) -> None:
        """Gives up what is being fetched."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fetched(self, uri: str) -> None:
        # Shielded: the flight is for all who wait, whoever of them leaves.
        await asyncio.shield(self._fetch(uri))

    def _fetch(self, uri: str) -> asyncio.Task[None]:
        """The one flight for this address."""
        flight = self._flights.get(uri)
        if flight is None:
            flight = asyncio.create_task(self._fly(uri))
            self._flights[uri] = flight
            flight.add_done_callback(lambda _: self._flights.pop(uri, None))
        return flight

    async def _fly(self, uri: str) -> None:
        try:
            answer = await self._outbound.get(uri, limit_bytes=LIMIT_BYTES, timeout=TIMEOUT)
            now = self._clock.now()
            fresh_until = now + _max_age(answer)
            self._keep(uri, _Held(_read(answer), now, fresh_until, fresh_until + STALE))
        except (OutboundError, _NoKeys) as problem:
            _log.warning("client_keys_not_fetched", jwks_uri=uri, why=str(problem))
            now = self._clock.now()
            old = self._held.get(uri, _Held((), now, now, now))
            self._keep(uri, _Held(old.keys, now, old.fresh_until, old.usable_until))

    def _keep(self, uri: str, held: _Held) -> None:
        self._held[uri] = held
        self._held.move_to_end(uri)
        if len(self._held) > _HELD:
            self._held.popitem(last=False)


class _NoKeys(Exception):
    """The answer isn't a JWK Set. ``str()`` says why."""


def _read(answer: OutboundResponse) -> Sequence[Jwk]:
    if answer.status != HTTPStatus.OK:
        raise _NoKeys(f"the status is {answer.status}")
    try:
        return published_keys(decode_json(answer.body, Any))
    except XinyiError as error:
        raise _NoKeys(error.detail or "the answer isn't a JWK Set") from None


def _max_age(answer: OutboundResponse) -> timedelta:
    """How long the answer says that it is fresh (RFC 9111 §5.2.2.1), within our own bounds."""
    found = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    said = timedelta(seconds=int(found[1])) if found else USUAL
    return min(max(said, SHORTEST), LONGEST)


def _has(keys: Sequence[Mapping[str, Any]], kid: str | None) -> bool:
    return kid is None or any(key["kid"] == kid for key in keys)
