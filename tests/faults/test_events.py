"""Senders that are killed and receivers that fail: every committed event arrives, and none that was rolled back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from tests.support.pairs import Servers
from tests.support.process import ServerProcess, server_process
from tests.support.receivers import DROP, HANG, Receiver, receiving, until
from tests.support.world import new_world
from xinyi.events.model import Status
from xinyi.storage.database import Database
from xinyi.storage.outbox import NewEvent, put

KILLS = 10
PARTNER = "prt_a"
SENDERS = 2
WITHIN = 60.0
"""Seconds: what takes longer is stuck."""


class Producer:
    """Something that happens all the time; every fifth time it is rolled back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.committed: set[int] = set()
        self.over = False

    async def run(self) -> None:
        number = 0
        while not self.over:
            number += 1
            with suppress(RuntimeError):
                async with self._database.transaction() as tx:
                    await put(tx, [NewEvent("consent.authorised", PARTNER, {"number": number})], datetime.now(UTC))
                    if number % 5 == 0:
                        raise RuntimeError
                self.committed.add(number)
            await asyncio.sleep(0.1)


def failing(seed: int) -> Callable[[], int]:
    """A receiver that answers seven messages of ten, and fails the others in one way or another."""
    random = Random(seed)  # noqa: S311 (the same failures in each run)
    return lambda: random.choice([*[204] * 7, 500, HANG, DROP])


def numbers(receiver: Receiver) -> set[int]:
    return {message.event["data"]["number"] for message in receiver.taken}


def outbound(*receivers: Receiver) -> dict[str, Any]:
    return {"outbound_loopback": " ".join(receiver.origin for receiver in receivers)}


@asynccontextmanager
async def sender(folder: Path, pair: Servers, *receivers: Receiver) -> AsyncIterator[ServerProcess]:
    """A server in a process of its own. The event loop, which the receivers need, goes on meanwhile."""
    with ExitStack() as stack:
        process = server_process(
            folder,
            pair,
            **outbound(*receivers),
            event_retries=" ".join(["0.2"] * 60),
            event_timeout="0.5",
        )
        yield await asyncio.to_thread(stack.enter_context, process)


async def test_every_committed_event_arrives_and_no_other(tmp_path: Path, servers: Servers) -> None:
    news = asyncio.Event()
    receivers = (Receiver(news=news), *(Receiver(news=news, status=failing(seed)) for seed in (1, 2)))
    kills = 0

    def arrived() -> int:
        return sum(len(receiver.arrived) for receiver in receivers)

    async def kill_in_the_middle() -> None:
        """A sender that comes, has something on its way, and is killed."""
        nonlocal kills
        while kills < KILLS:
            async with sender(tmp_path, servers, *receivers) as process:
                enough = arrived() + 3
                await until(lambda: arrived() >= enough, news)  # noqa: B023 (it is awaited here)
                process.kill()
                kills += 1

    async with receiving(*receivers), new_world(tmp_path, servers, **outbound(*receivers)) as world:
        await world.services.event_worker.stop()
        for receiver in receivers:
            await world.services.events.subscribe(PARTNER, url=receiver.url, types=None, description="")
        producer = Producer(world.services.database)
        producing = asyncio.create_task(producer.run())
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*(kill_in_the_middle() for _ in range(SENDERS)))
        producer.over = True
        await producing
        async with sender(tmp_path, servers, *receivers), asyncio.timeout(WITHIN):
            await until(lambda: all(numbers(receiver) >= producer.committed for receiver in receivers), news)
        standings = await world.services.events.subscriptions(PARTNER)
        told, _ = await world.services.events.after(PARTNER, None, [], 1000)

    assert kills >= KILLS
    assert {event.event.data["number"] for event in told} == producer.committed
    for receiver in receivers:
        assert numbers(receiver) == producer.committed
        assert len({message.event["id"] for message in receiver.arrived}) == len(producer.committed)
    assert any(len(receiver.arrived) > len(receiver.taken) for receiver in receivers), "some were tried again"
    assert all(each.subscription.status is Status.ENABLED and not each.dead for each in standings)
