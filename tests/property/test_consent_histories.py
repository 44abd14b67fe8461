"""Random histories of one consent against the real service: it always stands where a short model says it stands."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select

from tests.support.pairs import Pair
from tests.support.world import Subject, World, ask, new_world
from xinyi.checks.model import Answered, Refused
from xinyi.consents import repo
from xinyi.consents.model import ANSWER_WITHIN, Consent, ConsentState, Party
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Language
from xinyi.ledger.tables import ledger_leaves
from xinyi.partners.model import Client
from xinyi.sandbox import identities

RECURRING, ONCE = "bike-deposit", "home-rental-deposit"
LAST_TICK = timedelta(microseconds=1)
OPEN = {ConsentState.AWAITING_AUTHORISATION, ConsentState.AUTHORISED, ConsentState.PAUSED}
REFUSALS = {
    ConsentState.PAUSED: Code.CONSENT_PAUSED,
    ConsentState.WITHDRAWN: Code.CONSENT_WITHDRAWN,
    ConsentState.EXPIRED: Code.CONSENT_EXPIRED,
    ConsentState.CONSUMED: Code.CONSENT_CONSUMED,
}


class Stage:
    """One installation with its actors, shared by all histories: each history is about a consent of its own."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self._runner = asyncio.Runner()
        self._context = new_world(folder, pair)
        self.world: World = self.run(self._context.__aenter__())
        self.subject: Subject = self.run(self.world.subject())
        self.stranger: Subject = self.run(self.world.subject(identities.person(1, date(1991, 1, 1), 8)))

    def run(self, job: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await job

        return self._runner.run(wait())

    def close(self) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self._runner.close()

    def leaves(self) -> int:
        async def count() -> int:
            async with self.world.services.database.read() as tx:
                return (await tx.execute(select(func.count()).select_from(ledger_leaves))).scalar_one()

        return int(self.run(count()))

    def stored(self, consent_id: str) -> Consent:
        async def load() -> Consent:
            async with self.world.services.database.read() as tx:
                return (await repo.load(tx, [consent_id]))[consent_id]

        consent: Consent = self.run(load())
        return consent


class History(RuleBasedStateMachine):
    """What subject, partner, a stranger and time do to one consent."""

    stage: Stage

    @initialize(scenario=st.sampled_from([RECURRING, ONCE]), named=st.booleans())
    def ask(self, scenario: str, named: bool) -> None:
        self.term = timedelta(days=365 if scenario == RECURRING else 7)
        self.once = scenario == ONCE
        self.named = named
        self.scenario = scenario
        # A client of its own: what is given to it in one history supersedes nothing of another.
        self.client: Client = self.stage.run(self.stage.world.client(RECURRING, ONCE))
        subject = self.stage.subject if named else None
        self.consent: Consent = self.stage.run(self.stage.world.asked(self.client, scenario, subject))
        self.state = ConsentState.AWAITING_AUTHORISATION
        self.given = False
        self.deadline: datetime = self.now.replace(microsecond=0) + ANSWER_WITHIN
        self.uses = 0

    @property
    def now(self) -> datetime:
        return self.stage.world.clock.now()

    def pass_time(self) -> None:
        """What the model knows of time: the deadline itself is too late."""
        if self.state in OPEN and self.now >= self.deadline:
            self.state = ConsentState.EXPIRED

    def attempt(self, act: Callable[[], Awaitable[Any]], refusal: Code | None) -> None:
        """Does it: either it is refused as the model says and leaves nothing, or it leaves one leaf."""
        before, leaves = self.stage.stored(self.consent.id), self.stage.leaves()
        if refusal is None:
            self.stage.run(act())
            assert self.stage.leaves() == leaves + 1
            return
        with pytest.raises(XinyiError) as refused:
            self.stage.run(act())
        assert refused.value.code is refusal
        assert (self.stage.stored(self.consent.id), self.stage.leaves()) == (before, leaves)

    @rule(hours=st.integers(0, 72))
    def hours_pass(self, hours: int) -> None:
        self.stage.world.clock.advance(timedelta(hours=hours))
        self.pass_time()

    @rule()
    def the_last_moment_comes(self) -> None:
        if self.state in OPEN and self.now < self.deadline - LAST_TICK:
            self.stage.world.clock.advance(self.deadline - LAST_TICK - self.now)
        self.pass_time()

    @rule()
    def the_deadline_comes(self) -> None:
        if self.state in OPEN and self.now < self.deadline:
            self.stage.world.clock.advance(self.deadline - self.now)
        self.pass_time()

    @rule(stranger=st.booleans(), agree=st.booleans())
    def somebody_answers(self, stranger: bool, agree: bool) -> None:
        service = self.stage.world.services.consents
        subject = self.stage.stranger if stranger else self.stage.subject
        who = {"subject_id": subject.id, "kind": subject.kind}
        if stranger and not self.named:
            return  # anyone may answer an ask that names nobody: the history goes on with the subject
        refusal = None
        if stranger:
            refusal = Code.NOT_ENTITLED
        elif self.state is not ConsentState.AWAITING_AUTHORISATION:
            refusal = Code.WRONG_STATE

        async def act() -> None:
            if not agree:
                await service.reject(self.consent.id, **who)
                return
            async with self.stage.world.services.database.read() as tx:
                notice = await service.notice(tx, self.consent, Language.ZH)
            await service.authorise(self.consent.id, notice_digest=notice.digest, language=Language.ZH, **who)

        self.attempt(act, refusal)
        if refusal is None and agree:
            self.state, self.given = ConsentState.AUTHORISED, True
            self.deadline = self.now.replace(microsecond=0) + self.term
        elif refusal is None:
            self.state = ConsentState.REJECTED

    @rule()
    def the_subject_agrees_anew(self) -> None:
        superseded = self.given and self.state in OPEN and not self.once
        leaves = self.stage.leaves()
        self.stage.run(self.stage.world.consent(self.client, self.scenario, self.stage.subject))
        assert self.stage.leaves() >= leaves + 2 + superseded  # asked, given, and what it takes the place of
        if superseded:
            self.state = ConsentState.WITHDRAWN

    @rule(stranger=st.booleans())
    def somebody_pauses(self, stranger: bool) -> None:
        self.change("pause", stranger, {ConsentState.AUTHORISED}, ConsentState.PAUSED)

    @rule(stranger=st.booleans())
    def somebody_resumes(self, stranger: bool) -> None:
        self.change("resume", stranger, {ConsentState.PAUSED}, ConsentState.AUTHORISED)

    def change(self, name: str, stranger: bool, wanted: set[ConsentState], then: ConsentState) -> None:
        who = self.stage.stranger if stranger else self.stage.subject
        answered = self.given or self.state is ConsentState.REJECTED
        refusal = None
        if stranger or not answered:
            refusal = Code.NOT_FOUND
        elif self.state not in wanted:
            refusal = Code.WRONG_STATE
        method = getattr(self.stage.world.services.consents, name)
        self.attempt(lambda: method(self.consent.id, who.id), refusal)
        if refusal is None:
            self.state = then

    @rule(by=st.sampled_from([Party.SUBJECT, Party.PARTNER, Party.OPERATOR]), foreign=st.booleans())
    def somebody_withdraws(self, by: Party, foreign: bool) -> None:
        answered = self.given or self.state is ConsentState.REJECTED
        who = {Party.SUBJECT: self.stage.subject.id, Party.PARTNER: self.consent.partner_id, Party.OPERATOR: "ops"}[by]
        if foreign and by is not Party.OPERATOR:
            who = {Party.SUBJECT: self.stage.stranger.id, Party.PARTNER: "prt_other"}[by]
        service = self.stage.world.services.consents
        refusal = None
        if (foreign and by is not Party.OPERATOR) or (by is Party.SUBJECT and not answered):
            refusal = Code.NOT_FOUND
        elif self.state is ConsentState.WITHDRAWN:
            leaves = self.stage.leaves()
            self.stage.run(service.withdraw(self.consent.id, by, who))
            assert self.stage.leaves() == leaves
            return
        elif self.state not in OPEN:
            refusal = Code.WRONG_STATE
        self.attempt(lambda: service.withdraw(self.consent.id, by, who), refusal)
        if refusal is None:
            self.state = ConsentState.WITHDRAWN

    @rule()
    def the_partner_checks(self) -> None:
        result = self.stage.run(self.stage.world.check(ask(self.client, self.consent)))
        if not self.given:
            assert isinstance(result, Refused)
            return
        if self.state is not ConsentState.AUTHORISED:
            assert isinstance(result, Refused)
            assert result.code is REFUSALS[self.state]
            return
        assert isinstance(result, Answered)
        self.uses += 1
        if self.once:
            self.state = ConsentState.CONSUMED

    @invariant()
    def it_stands_where_the_model_says(self) -> None:
        consent = self.stage.stored(self.consent.id)
        assert self.stage.world.services.consents.state(consent) is self.state
        assert consent.use_count == self.uses
        assert not self.once or self.uses <= 1


@pytest.fixture
def stage(tmp_path: Path, pair: Pair) -> Iterator[Stage]:
    stage = Stage(tmp_path, pair)
    yield stage
    stage.close()


def test_every_history_leaves_the_consent_where_the_model_says(stage: Stage) -> None:
    class HistoryHere(History):
        pass

    HistoryHere.stage = stage
    run_state_machine_as_test(HistoryHere, settings=settings(max_examples=40, stateful_step_count=20, deadline=None))
