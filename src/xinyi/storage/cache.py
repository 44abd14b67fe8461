"""Short-lived state that all workers share: proofs seen, pushed requests, codes, browser sessions.

One-time things are consumed by one atomic operation, never get-then-set.
"""

import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError

Begin = Callable[[], Awaitable[datetime]]
"""Tells from when on a state that begins now can be trusted: see ``horizon.Horizon``."""


@runtime_checkable
class Cache(Protocol):
    """Keys and values that live for a while.

    Every operation raises ``XinyiError(UNAVAILABLE)`` when the state can't be reached or is full: it never forgets
    early, and whoever can't ask it doesn't go on.
    """

    @property
    def since(self) -> datetime:
        """From when on this state knows everything. Read it after an operation: a state that was lost begins anew.

        What was made before may have been seen by a state that is gone.
        """

    async def open(self) -> None:
        """Call before the first operation. Raises :class:`UnfitCache` when the state would forget early."""

    async def close(self) -> None:
        """Ends the connection, if there is one; what is stored stays."""

    async def add(self, key: str, ttl: timedelta, value: bytes = b"") -> bool:
        """Stores ``value`` unless ``key`` is present; tells whether it was stored. For things that may happen once."""

    async def put(self, key: str, ttl: timedelta, value: bytes) -> None:
        """Stores ``value``, replacing what was there."""

    async def get(self, key: str) -> bytes | None:
        """Gives the value."""

    async def touch(self, key: str, ttl: timedelta) -> bytes | None:
        """Gives the value and lets it live ``ttl`` from now, in one step: what was deleted never comes back."""

    async def take(self, key: str) -> bytes | None:
        """Gives the value and removes it, in one step: only one caller ever gets it."""

    async def delete(self, key: str) -> None:
        """Removes the value."""


class UnfitCache(Exception):
    """The memory store would forget early. ``str()`` says how to set it up."""


class MemoryCache:
    """A :class:`Cache` in one process, for one worker: bounded, and emptied of what has expired as it grows."""

    def __init__(self, clock: Clock, begin: Begin | None = None, *, capacity: int = 1_000_000) -> None:
        self._clock = clock
        self._begin = begin
        self._capacity = capacity
        self._values: dict[str, tuple[datetime, bytes]] = {}
        self._expiries: list[tuple[datetime, str]] = []
        self._since = whole_seconds(clock.now())

    @property
    def since(self) -> datetime:
        return self._since

    async def open(self) -> None:
        if self._begin is not None:
            self._since = await self._begin()

    async def close(self) -> None:
        pass

    async def add(self, key: str, ttl: timedelta, value: bytes = b"") -> bool:
        if self._live(key) is not None:
            return False
        self._store(key, ttl, value)
        return True

    async def put(self, key: str, ttl: timedelta, value: bytes) -> None:
        self._store(key, ttl, value)

    async def get(self, key: str) -> bytes | None:
        return self._live(key)

    async def touch(self, key: str, ttl: timedelta) -> bytes | None:
        value = self._live(key)
        if value is not None:
            self._store(key, ttl, value)
        return value

    async def take(self, key: str) -> bytes | None:
        value = self._live(key)
        self._values.pop(key, None)
        return value

    async def delete(self, key: str) -> None:
        self._values.pop(key, None)

    def _live(self, key: str) -> bytes | None:
        found = self._values.get(key)
        return found[1] if found is not None and found[0] > self._clock.now() else None

    def _store(self, key: str, ttl: timedelta, value: bytes) -> None:
        now = self._clock.now()
        while self._expiries and self._expiries[0][0] <= now:
            expiry, old = heapq.heappop(self._expiries)
            if (found := self._values.get(old)) is not None and found[0] <= expiry:
                del self._values[old]
        if len(self._expiries) >= self._capacity:
            raise XinyiError(Code.UNAVAILABLE, "the short-lived state is full", retry_after=5)
        self._values[key] = (now + ttl, value)
        heapq.heappush(self._expiries, (now + ttl, key))
