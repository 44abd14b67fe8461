"""A server that is told to stop answers whatever was sent to it."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.conftest import Own
from tests.support.clock import ManualClock
from tests.support.fleet import calling, worker
from tests.support.load import Load
from tests.support.pairs import Embedded
from tests.support.stored import missing_checks
from tests.support.world import PERSON, new_world

SCENARIO = "library-lending"
SERVERS = ((), (), ("--workers", "2"))
"""The options of each that is stopped."""
CALLERS = 16


async def test_what_is_under_way_is_answered_and_nothing_is_dropped(
    own: Own, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    async with new_world(tmp_path, own.pair, ManualClock(datetime.now(UTC))) as world:
        client = await world.client(SCENARIO, kind="library")
        consent = await world.consent(client, SCENARIO, await world.subject(PERSON))
        key = world.private_keys[client.id]
    answered: dict[str, bytes] = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(worker(tmp_path, own.pair, *options)) for options in SERVERS]
        async with calling(client, key, *servers) as partners:
            for number, (server, partner) in enumerate(zip(servers, partners, strict=True)):
                load = Load(partners=[partner], consent=consent, name=f"STOP-{number}", until_refused=True)
                async with load.running(CALLERS):
                    await load.until(100)
                    server.terminate()
                    code = await asyncio.to_thread(server.process.wait, 30)
                assert code in {0, -signal.SIGTERM}, "it ended in good order: many workers with 0, one by the signal"
                others = Counter(told.why or str(told.status) for told in load.told if told.status != 200)
                assert others == {"ConnectError": CALLERS}, "answered, and then refused at the door"
                answered.update(load.acknowledged)
                assert server.log == []
    assert await missing_checks(own.pair.settings(tmp_path), answered) == 0
    tell(f"faults: SIGTERM {len(SERVERS)} times under load: {len(answered)} acknowledged, 0 dropped, 0 missing")


async def test_who_has_connected_is_answered_even_if_nobody_has_looked_yet(tmp_path: Path, embedded: Embedded) -> None:
    with worker(tmp_path, embedded) as server:
        host, port = server.url.removeprefix("http://").split(":")
        idle = await asyncio.open_connection(host, int(port))
        await asked(*idle)
        server.process.send_signal(signal.SIGSTOP)
        new = [await asyncio.open_connection(host, int(port)) for _ in range(CALLERS)]
        calls = [asyncio.create_task(asked(*streams)) for streams in (idle, *new)]
        await asyncio.sleep(0)  # all of it is sent
        server.terminate()
        server.process.send_signal(signal.SIGCONT)
        answers = await asyncio.gather(*calls)
        await asyncio.to_thread(server.process.wait, 30)
        for _, writer in (idle, *new):
            writer.close()
    assert {answer.splitlines()[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of the answer to a request on this connection."""
    writer.write(b"GET /health/live HTTP/1.1\r\nhost: credit.example\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"}}")
    return head
