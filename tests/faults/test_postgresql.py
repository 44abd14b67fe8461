"""PostgreSQL stops at once, and comes back: errors in between, and nobody starts a server again."""

import json
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.conftest import Own
from tests.support.clock import ManualClock
from tests.support.fleet import Partner, calling, worker
from tests.support.load import Load
from tests.support.process import xinyi
from tests.support.stored import missing_checks
from tests.support.world import PERSON, new_world

SCENARIO = "library-lending"
HEALTHY_WITHIN = 5.0
CUTS = (signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT)
"""At once; breaking off what is under way; at once again."""
HEALTH = ("/health/live", "/health/ready")
ERRORS_BEFORE_IT_IS_BACK = 40


async def test_while_it_is_away_there_are_errors_and_then_answers_again(
    own: Own, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    async with new_world(tmp_path, own.pair, ManualClock(datetime.now(UTC))) as world:
        client = await world.client(SCENARIO, kind="library")
        consent = await world.consent(client, SCENARIO, await world.subject(PERSON))
        key = world.private_keys[client.id]
    longest = 0.0
    with ExitStack() as stack:
        servers = [stack.enter_context(worker(tmp_path, own.pair)) for _ in range(2)]
        async with calling(client, key, *servers) as partners:
            load = Load(partners=partners, consent=consent, pause=0.01)
            async with load.running():
                for how in CUTS:
                    await load.until(50)
                    own.postgres.stop(how)
                    await load.until(ERRORS_BEFORE_IT_IS_BACK, 503)
                    away = [(await partners[0].http.get(path)).status_code for path in HEALTH]
                    assert away == [200, 503]
                    own.postgres.start()
                    longest = max(longest, await healthy_again(partners))
                await load.until(10, at=0)
                await load.until(10, at=1)
        assert [server.process.poll() for server in servers] == [None, None], "no server was started again"

    assert longest <= HEALTHY_WITHIN
    assert [line for server in servers for line in server.log] == [], "all of it was foreseen"
    errors = [told for told in load.told if told.status != 200]
    assert {(told.status, told.retry_after) for told in errors} == {(503, "1")}, {told.why for told in errors}
    assert {json.loads(told.body)["code"] for told in errors} == {"unavailable"}
    missing = await missing_checks(own.pair.settings(tmp_path), load.acknowledged)
    assert missing == 0
    verdict = xinyi(tmp_path, own.pair, "ledger", "verify")
    assert verdict.returncode == 0, verdict.stdout
    tell(
        f"faults: PostgreSQL stopped {len(CUTS)} times: {len(load.acknowledged)} acknowledged, {missing} missing, "
        f"{len(errors)} errors; healthy at most {longest:.2f} s after it was back"
    )


async def healthy_again(partners: Sequence[Partner]) -> float:
    """Seconds until every worker says so."""
    back = time.monotonic()
    for partner in partners:
        while (await partner.http.get("/health/ready")).status_code != 200:
            assert time.monotonic() - back < 4 * HEALTHY_WITHIN
    return time.monotonic() - back
