"""A server that is killed again and again keeps what it acknowledged: checks, consents, withdrawals."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct, field

from tests.faults.conftest import Own
from tests.support.clock import ManualClock
from tests.support.fleet import Partner, calling, connected, worker
from tests.support.oauth import REDIRECT_URI, Subject, answer
from tests.support.process import ServerProcess, xinyi
from tests.support.stored import missing_checks
from tests.support.world import PERSON, new_world
from xinyi.consents import repo
from xinyi.consents.model import Consent, ConsentState
from xinyi.settings import Settings
from xinyi.wiring import Services

KILLS = 20
SCENARIO, ONCE, PERSONA = "library-lending", "hotel-deposit", "person-a"
CALLERS = 3
UNKNOWN = "unknown"
"""The state of a consent while a change is under way, or broken off."""
CHECKS_BEFORE_EACH, CONSENTS_BEFORE_EACH = 30, 1


class Journal(Struct, kw_only=True):
    """What was acknowledged, and the server that is up."""

    partner: Partner
    checks: dict[str, bytes] = field(default_factory=dict)
    """The answers, by reference: the same question is asked until it is answered."""
    consents: dict[str, str] = field(default_factory=dict)
    """The states of consents as they were last acknowledged."""
    over: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def check(self, consent_id: str, scenario: str, reference: str) -> bool:
        """Asks until there is an answer, each time with the same key; false when it was over before."""
        while not self.over:
            try:
                response = await self.partner.check(consent_id, scenario, reference, f"key-{reference}")
            except httpx.TransportError:
                await asyncio.sleep(0.01)
                continue
            assert response.status_code in {200, 503}, response.text
            if response.status_code == 200:
                self.checks[reference] = response.content
                self._news.set()
                return True
        return False

    async def caller(self, consent: Consent, number: int) -> None:
        turn = 0
        while not self.over:
            turn += 1
            await self.check(consent.id, consent.scenario_id, f"CASE-{number}-{turn}")

    async def subject(self) -> None:
        """Consents through the pages; then the partner gives it up, uses it, or keeps it."""
        turn = 0
        while not self.over:
            turn += 1
            try:
                consent_id = await self._consented()
                self.consents[consent_id] = ConsentState.AUTHORISED
                self._news.set()
                if turn % 3 == 0:
                    continue
                self.consents[consent_id] = UNKNOWN
                if turn % 3 == 1:
                    assert (await self.partner.withdraw(consent_id)).status_code == 200
                    self.consents[consent_id] = ConsentState.WITHDRAWN
                elif await self.check(consent_id, ONCE, f"ONCE-{turn}"):
                    self.consents[consent_id] = ConsentState.CONSUMED
            except httpx.TransportError:
                await asyncio.sleep(0.01)

    async def _consented(self) -> str:
        """The id of a consent whose token the partner holds."""
        partner = self.partner
        pushed = await partner.par(ONCE)
        assert pushed.status_code == 201, pushed.text
        async with httpx.AsyncClient(base_url=partner.http.base_url) as http:
            subject = Subject(http)
            page = await subject.sign_in(await subject.open(partner, pushed.json()["request_uri"]), PERSONA)
            code = answer(await subject.decide(page, "agree"))["code"]
        redeemed = await partner.redeem(code)
        assert redeemed.status_code == 200, redeemed.text
        granted: dict[str, Any] = redeemed.json()["authorization_details"][0]
        return str(granted["consent_id"])

    async def until(self, checks: int, consents: int) -> None:
        """Waits until as many more were acknowledged."""
        checks += len(self.checks)
        consents += len(self.consents)
        while len(self.checks) < checks or len(self.consents) < consents:
            self._news.clear()
            await self._news.wait()


async def test_nothing_that_was_acknowledged_is_missing_after_20_kills(
    own: Own, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    async with new_world(tmp_path, own.pair, ManualClock(datetime.now(UTC))) as world:
        client = await world.client(SCENARIO, ONCE, kind="library", redirect_uris=[REDIRECT_URI])
        consent = await world.consent(client, SCENARIO, await world.subject(PERSON))
        key = world.private_keys[client.id]
    with ExitStack() as servers:

        def start() -> ServerProcess:
            return servers.enter_context(worker(tmp_path, own.pair))

        server = start()
        async with calling(client, key, server) as (partner,), AsyncExitStack() as clients:
            journal = Journal(partner=partner)
            tasks = [asyncio.create_task(journal.caller(consent, number)) for number in range(CALLERS)]
            tasks.append(asyncio.create_task(journal.subject()))
            for _ in range(KILLS):
                following = asyncio.create_task(asyncio.to_thread(start))  # comes up while this one is at work
                working = asyncio.create_task(journal.until(CHECKS_BEFORE_EACH, CONSENTS_BEFORE_EACH))
                await asyncio.wait([working, *tasks], return_when=asyncio.FIRST_COMPLETED)
                assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
                following_server = await following
                server.kill()
                server = following_server
                journal.partner = partner.at(await clients.enter_async_context(connected(server)))
            await journal.until(CHECKS_BEFORE_EACH, CONSENTS_BEFORE_EACH)
            journal.over = True
            await asyncio.gather(*tasks)

    settings = own.pair.settings(tmp_path)
    missing = await missing_checks(settings, journal.checks) + await missing_states(settings, journal.consents)
    assert missing == 0
    verdict = xinyi(tmp_path, own.pair, "ledger", "verify")
    assert verdict.returncode == 0, verdict.stdout
    states = Counter(journal.consents.values())
    acknowledged = len(journal.checks) + len(journal.consents) + states[ConsentState.WITHDRAWN]
    assert states[ConsentState.WITHDRAWN] > 0
    tell(
        f"faults: {KILLS} kills, {acknowledged} acknowledged, {missing} missing "
        f"({len(journal.checks)} checks, {len(journal.consents)} consents, "
        f"{states[ConsentState.WITHDRAWN]} withdrawals)"
    )


async def missing_states(settings: Settings, acknowledged: Mapping[str, str]) -> int:
    """How many consents aren't there, or aren't as they were last acknowledged."""
    services = Services.build(settings)
    async with services.opened(), services.database.read() as tx:
        found = await repo.load(tx, acknowledged.keys())
    return sum(
        consent_id not in found or expected not in {UNKNOWN, services.consents.state(found[consent_id])}
        for consent_id, expected in acknowledged.items()
    )
