"""How often a test goes to Redis, and with how much each time."""

from typing import Any

import pytest

from xinyi.storage.redis_cache import RedisCache


def round_trips(cache: RedisCache, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of commands of each round trip from now on."""
    trips: list[int] = []
    round_trip = cache._round_trip

    async def counted(connection: Any, commands: Any) -> Any:
        trips.append(len(commands))
        return await round_trip(connection, commands)

    monkeypatch.setattr(cache, "_round_trip", counted)
    return trips
