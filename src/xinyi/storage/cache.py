"""Short-lived state that all workers share: proofs seen, pushed requests, codes, browser sessions.

One-time things are consumed by one atomic operation, never get-then-set. This is the in-process form for one worker:
bounded, and emptied of what has expired as it grows.
"""

import heapq
from datetime import datetime, timedelta

from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError


class MemoryCache:
    """Keys and values of one process. Raises ``XinyiError(UNAVAILABLE)`` when full: it never forgets early.

    ``since`` is when this state began: a proof made before that may have been seen by a state that is gone.
    """

    def __init__(self, clock: Clock, *, capacity: int = 1_000_000) -> None:
        self._clock = clock
        self._capacity = capacity
        self._values: dict[str, tuple[datetime, bytes]] = {}
        self._expiries: list[tuple[datetime, str]] = []
        self.since = clock.now()

    async def add(self, key: str, ttl: timedelta, value: bytes = b"") -> bool:
        """Stores ``value`` unless ``key`` is present; tells whether it was stored. For things that may happen once."""
        if self._live(key) is not None:
            return False
        self._store(key, ttl, value)
        return True

    async def put(self, key: str, ttl: timedelta, value: bytes) -> None:
        """Stores ``value``, replacing what was there."""
        self._store(key, ttl, value)

    async def get(self, key: str) -> bytes | None:
        return self._live(key)

    async def touch(self, key: str, ttl: timedelta) -> bytes | None:
        """Gives the value and lets it live ``ttl`` from now, in one step: what was deleted never comes back."""
        value = self._live(key)
        if value is not None:
            self._store(key, ttl, value)
        return value

    async def take(self, key: str) -> bytes | None:
        """Gives the value and removes it, in one step: only one caller ever gets it."""
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
