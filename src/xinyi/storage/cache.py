"""Short-lived state that all workers share: proofs seen, pushed requests, codes, browser sessions.

One-time things are consumed by one atomic operation, never get-then-set.
"""

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol, runtime_checkable

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

    def count(self, key: str, ttl: timedelta) -> asyncio.Future[int]:
        """Adds one to the count of ``key``, and gives what it is by then; it is over ``ttl`` after it began.

        The question is on its way when this returns, so that it shares the round trip of whatever is asked next.
        """

    def present(self, *keys: str) -> asyncio.Future[int]:
        """How many of ``keys`` are there. On its way when this returns, as with :meth:`count`."""


def drop(asked: asyncio.Future[int]) -> None:
    """Nobody waits for the answer any more."""
    if not asked.done():
        asked.cancel()
    elif not asked.cancelled():
        asked.exception()


class UnfitCache(Exception):
    """The memory store would forget early. ``str()`` says how to set it up."""


class MemoryCache:
    """A :class:`Cache` in one process, for one worker: bounded, and emptied of what has expired as it grows.

    ``capacity``: the most values that it holds at once.
    """

    def __init__(self, clock: Clock, begin: Begin | None = None, *, capacity: int = 1_000_000) -> None:
        self._clock = clock
        self._begin = begin
        self._capacity = capacity
        self._values: dict[str, tuple[datetime, bytes]] = {}
        self._due: dict[int, list[str]] = {}
        """The keys to look at, by the second by which each was to be over; those that were removed stay until then."""
        self._seconds: list[int] = []
        """A heap of those seconds."""
        self._listed = 0
        """How many keys they hold."""
        self._since = whole_seconds(clock.now())

    def __len__(self) -> int:
        """How many values it holds, those included that have expired and weren't looked at since."""
        return len(self._values)

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

    def count(self, key: str, ttl: timedelta) -> asyncio.Future[int]:
        counted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        value = self._live(key)
        if value is None:
            self._store(key, ttl, b"1")
            counted.set_result(1)
        else:
            number = int(value) + 1
            self._values[key] = (self._values[key][0], b"%d" % number)
            counted.set_result(number)
        return counted

    def present(self, *keys: str) -> asyncio.Future[int]:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        found.set_result(sum(self._live(key) is not None for key in keys))
        return found

    def _live(self, key: str) -> bytes | None:
        found = self._values.get(key)
        return found[1] if found is not None and found[0] > self._clock.now() else None

    def _store(self, key: str, ttl: timedelta, value: bytes) -> None:
        now = self._clock.now()
        while self._seconds and self._seconds[0] <= now.timestamp():
            self._look_at(heapq.heappop(self._seconds), now)
        is_new = key not in self._values
        if is_new and len(self._values) >= self._capacity:
            raise XinyiError(Code.UNAVAILABLE, "the short-lived state is full", retry_after=5)
        self._values[key] = (now + ttl, value)
        if is_new:
            self._list(key, now + ttl)
            if self._listed > 2 * len(self._values) + _SPARE:
                self._forget_removed()

    def _list(self, key: str, expiry: datetime) -> None:
        second = math.ceil(expiry.timestamp())
        if second not in self._due:
            self._due[second] = []
            heapq.heappush(self._seconds, second)
        self._due[second].append(key)
        self._listed += 1

    def _look_at(self, second: int, now: datetime) -> None:
        """Drops what has expired of the keys of a second; what lives longer by now is looked at again after that."""
        keys = self._due.pop(second)
        self._listed -= len(keys)
        for key in keys:
            found = self._values.get(key)
            if found is not None and found[0] > now:
                self._list(key, found[0])
            else:
                self._values.pop(key, None)

    def _forget_removed(self) -> None:
        """Lists the keys anew without those that were removed before their time."""
        self._due, self._seconds, self._listed = {}, [], 0
        for key, (expiry, _) in self._values.items():
            self._list(key, expiry)


_SPARE: Final = 1024
"""How many removed keys may be listed before all are listed anew, on top of as many as there are values."""
