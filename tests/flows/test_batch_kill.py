"""A server that is killed while a batch runs goes on with it: each item once, and withdrawals on the way hold."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.batches import tally
from tests.support.clock import ManualClock
from tests.support.pairs import Pair
from tests.support.process import ServerProcess, server_process, xinyi
from tests.support.world import new_world
from xinyi.sandbox import identities
from xinyi.wiring import Services
from xinyi_sdk import AsyncXinyi, BatchItem, ConsentWithdrawn, Question, verify_receipt

KILLS = 3
ITEMS = 12_000
SUBJECTS = 12
ADVANCE_BEFORE_EACH_KILL = ITEMS // (4 * KILLS)
SCENARIO = "bike-deposit"


@asynccontextmanager
async def partner(server: ServerProcess, client_id: str, key: dict[str, Any]) -> AsyncIterator[AsyncXinyi]:
    async with AsyncXinyi(base_url=server.url, client_id=client_id, private_key=key) as client:
        yield client


async def test_a_killed_batch_goes_on_with_each_item_once(tmp_path: Path, pair: Pair) -> None:
    consent_ids = []
    async with new_world(tmp_path, pair, ManualClock(datetime.now(UTC) - timedelta(minutes=1))) as world:
        bike = await world.client(SCENARIO, kind="bike-share")
        for n in range(SUBJECTS):
            person = await world.subject(identities.person(1, date(1990, 5, 1), n))
            consent_ids.append((await world.consent(bike, SCENARIO, person)).id)
        key = world.private_keys[bike.id]
    asked = [
        Question(scenario=SCENARIO, consent_id=consent_ids[n % SUBJECTS], reference=f"CASE-{n + 1}")
        for n in range(ITEMS)
    ]
    withdrawn, withdrawn_at, batch_id, kills = consent_ids[0], 0, "", 0

    for _ in range(KILLS):
        with server_process(tmp_path, pair) as server:
            async with partner(server, bike.id, key) as client:
                if not batch_id:
                    batch_id = (await client.batches.submit(items=asked)).id
                enough = (await client.batches.get(batch_id)).done + ADVANCE_BEFORE_EACH_KILL
                batch = await client.batches.get(batch_id)
                while batch.done < enough and not batch.finished:
                    batch = await client.batches.get(batch_id)
                if not withdrawn_at:
                    await client.consents.withdraw(withdrawn)
                    withdrawn_at = (await client.batches.get(batch_id)).done
                kills += not batch.finished
                server.kill()

    with server_process(tmp_path, pair) as server:
        async with partner(server, bike.id, key) as client:
            batch = await client.batches.wait(batch_id)
            items = [item async for item in client.batches.follow(batch_id)]
            keys = await client.ledger.jwks()

    assert kills == KILLS, "it was killed while the batch ran"
    assert [(item.number, item.reference) for item in items] == [(n, f"CASE-{n}") for n in range(1, ITEMS + 1)]
    assert batch.answered + batch.refused == ITEMS
    of_withdrawn = [item for item in items if item.consent_id == withdrawn]
    assert all(isinstance(item.error, ConsentWithdrawn) for item in of_withdrawn)
    assert batch.refused >= sum(item.number > withdrawn_at for item in of_withdrawn) > 0
    answered = [item for item in items if item.consent_id != withdrawn]
    assert len({_check_id(item) for item in answered}) == len(answered)
    for item in answered[:: len(answered) // 50]:
        assert item.answer is not None
        assert verify_receipt(item.answer.receipt, keys, answer=item.answer, reference=item.reference)
    verdict = xinyi(tmp_path, pair, "ledger", "verify")
    assert verdict.returncode == 0, verdict.stdout
    services = Services.build(pair.settings(tmp_path))
    async with services.opened():
        stored, used, leaves = await tally(services)
    assert stored == used == leaves == batch.answered


def _check_id(item: BatchItem) -> str:
    assert item.answer is not None, item
    return item.answer.id
