"""However a list of questions is cut into turns, each gets what a call in its place would have got."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batches import finish, question, results, submit, told
from tests.support.held import HeldWorld
from tests.support.pairs import Pair
from tests.support.world import PERSON, Subject
from xinyi.batches import service
from xinyi.checks.model import Ask, CheckRequest, Result
from xinyi.consents.model import Consent, Party
from xinyi.partners.model import Client
from xinyi.sandbox import identities

RECURRING, ONCE = "bike-deposit", "home-rental-deposit"
UNKNOWN = "cns_01kb0x4m9v5w8q2r7s3t6y1zab"


class Stage(HeldWorld):
    """One installation, shared by all examples: each is about consents of its own."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        super().__init__(folder, pair)
        self.run(self.world.services.batch_worker.stop())
        self.client: Client = self.run(self.world.client(RECURRING, ONCE))
        self.met: Subject = self.run(self.world.subject(PERSON))
        self.other: Subject = self.run(self.world.subject(identities.person(1, date(1991, 1, 1), 8)))
        self.run(self.world.record(self.met, "SOCINS_PAID", months=12, as_of="2026-10-01"))
        self.examples = 0

    async def consents(self) -> list[Consent]:
        """One of each kind: recurring, of another subject, for one use, withdrawn."""
        world = self.world
        withdrawn = await world.consent(self.client, RECURRING, self.met)
        await world.services.consents.withdraw(withdrawn.id, Party.PARTNER, str(self.client.partner_id))
        return [
            await world.consent(self.client, RECURRING, self.met),
            await world.consent(self.client, RECURRING, self.other),
            await world.consent(self.client, ONCE, self.met),
            withdrawn,
        ]

    async def by_calls(self, questions: list[CheckRequest]) -> list[Result]:
        asks = [
            Ask(client_id=self.client.id, partner_id=str(self.client.partner_id), bound_consent_id=None, request=each)
            for each in questions
        ]
        return [(await self.world.services.checks.run([each]))[0] for each in asks]

    async def by_batch(self, questions: list[CheckRequest]) -> list[Result]:
        self.examples += 1
        batch = await submit(self.world.services, self.client, questions, key=f"example-{self.examples}")
        await finish(self.world.services.batches)
        return [each.result for each in await results(self.world.services, batch)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("world"), pair)
    yield stage
    stage.close()


Place = tuple[int, str]
"""Which of the consents (4 is unknown), and the scenario that is asked for."""
places = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([RECURRING, ONCE])), min_size=1, max_size=12)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(places=places, turn=st.integers(1, 5))
def test_any_split_gives_what_calls_give(stage: Stage, places: list[Place], turn: int) -> None:
    def asked(consents: list[Consent]) -> list[CheckRequest]:
        return [
            question(UNKNOWN if which == len(consents) else consents[which], f"CASE-{n}", scenario)
            for n, (which, scenario) in enumerate(places)
        ]

    called = stage.run(stage.by_calls(asked(stage.run(stage.consents()))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "TURN", turn)
        batched = stage.run(stage.by_batch(asked(stage.run(stage.consents()))))

    assert [told(each) for each in batched] == [told(each) for each in called]
    stage.world.clock.advance(timedelta(seconds=1))
