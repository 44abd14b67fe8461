"""Used keys: how long they are remembered."""

from datetime import UTC, datetime, timedelta

import pytest

from xinyi.storage import idempotency
from xinyi.storage.database import Database
from xinyi.storage.idempotency import Use

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 2, tzinfo=UTC)


async def test_what_is_due_is_forgotten_in_one_walk_along_the_keys(database: Database) -> None:
    uses = [Use(owner, f"k{number}", "digest", f"chk_{owner}{number}") for owner in "ab" for number in range(5)]
    due, kept = uses[::2], uses[1::2]
    async with database.transaction() as tx:
        await idempotency.store(tx, due, NOW - timedelta(microseconds=1))
        await idempotency.store(tx, kept, NOW)
    forgotten, last, walked = 0, ("", ""), 0
    while True:
        async with database.transaction() as tx:
            some, end = await idempotency.forget_some(tx, NOW, 3, last)
        if end is None:
            break
        forgotten, last, walked = forgotten + some, end, walked + 1
    async with database.read() as tx:
        left = await idempotency.find(tx, {(use.owner, use.key) for use in uses})
    assert (forgotten, walked) == (5, 4)
    assert sorted(left.values(), key=lambda use: use.resource) == kept
