"""One idempotency key, fifty times at once at two workers: one effect, and the same bytes for everybody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.conftest import Own
from tests.support.clock import ManualClock
from tests.support.fleet import Partner, calling, worker
from tests.support.stored import missing_checks
from tests.support.world import PERSON, new_world
from xinyi.consents.model import Consent

TIMES = 50
SCENARIOS = ("library-lending", "hotel-deposit")
"""A consent that carries many checks, and one that carries one."""
At = tuple[Path, list[Partner], list[Consent]]


@pytest.fixture(scope="module")
async def at(own: Own, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[At]:
    folder = tmp_path_factory.mktemp("same-key")
    async with new_world(folder, own.pair, ManualClock(datetime.now(UTC))) as world:
        client = await world.client(*SCENARIOS, kind="library")
        person = await world.subject(PERSON)
        consents = [await world.consent(client, scenario, person) for scenario in SCENARIOS]
        key = world.private_keys[client.id]
    with ExitStack() as stack:
        servers = [stack.enter_context(worker(folder, own.pair)) for _ in range(2)]
        async with calling(client, key, *servers) as partners:
            yield folder, partners, consents
        assert [line for server in servers for line in server.log] == [], "all of it was foreseen"


async def test_one_key_has_one_effect_and_one_answer(own: Own, at: At, tell: Callable[[str], None]) -> None:
    folder, partners, consents = at
    answers: dict[str, bytes] = {}
    for consent in consents:
        calls = [
            partners[number % 2].check(consent.id, consent.scenario_id, "CASE-1", f"key-{consent.id}")
            for number in range(TIMES)
        ]
        told = await asyncio.gather(*calls)
        assert {response.status_code for response in told} == {200}, {response.text for response in told}
        (body,) = {response.content for response in told}
        answers[consent.id] = body
    assert await missing_checks(own.pair.settings(folder), answers) == 0
    tell(f"faults: one key {TIMES} times at two workers, {len(consents)} times: one effect, identical bytes")
