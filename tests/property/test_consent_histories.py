"""Random histories of one consent against the real services: it always stands where a short model says it stands.

Each change leaves one leaf in the ledger and one event for the partner; what is refused leaves nothing.
"""

from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from tests.support.held import HeldWorld
from tests.support.pairs import Pair
from tests.support.world import Subject, ask
from xinyi.checks.model import Answered, Refused
from xinyi.consents import repo
from xinyi.consents.asking import Ask
from xinyi.consents.model import (
    ANSWER_EXTENSION_WITHIN,
    ANSWER_WITHIN,
    Channel,
    Consent,
    ConsentState,
    Extension,
    Party,
)
from xinyi.events.tables import event_heads
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Language
from xinyi.ledger.tables import ledger_leaves
from xinyi.partners.model import Client
from xinyi.sandbox import identities
from xinyi.storage.outbox import outbox

RECURRING, ONCE = "bike-deposit", "home-rental-deposit"
WITHDRAWERS = (Party.SUBJECT, Party.PARTNER, Party.OPERATOR)
RARELY = st.integers(0, 7).map(lambda number: number == 7)
LAST_TICK = timedelta(microseconds=1)
OPEN = {ConsentState.AWAITING_AUTHORISATION, ConsentState.AUTHORISED, ConsentState.PAUSED}
REFUSALS = {
    ConsentState.PAUSED: Code.CONSENT_PAUSED,
    ConsentState.WITHDRAWN: Code.CONSENT_WITHDRAWN,
    ConsentState.EXPIRED: Code.CONSENT_EXPIRED,
    ConsentState.CONSUMED: Code.CONSENT_CONSUMED,
}


def act(name: str, **details: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """One of the things that :class:`History` lets happen."""
    return st.tuples(st.just(name), st.fixed_dictionaries(details))


TIMES = st.sampled_from([timedelta(hours=1), timedelta(hours=23), timedelta(days=1), timedelta(days=7), None])
DAYS = st.sampled_from([None, None, None, 1, 7, 8, 365, 366])
ACTS = st.one_of(
    act("time_passes", by=TIMES),
    act("time_passes", by=TIMES),
    act("the_deadline_comes", really=RARELY),
    act("somebody_answers", stranger=RARELY, agree=st.booleans()),
    act("the_partner_asks_the_same_by_link"),
    act("the_partner_reminds", foreign=RARELY),
    act("the_partner_asks_for_more_time", days=DAYS, foreign=RARELY),
    act("the_partner_asks_for_more_time", days=DAYS, foreign=RARELY),
    act("somebody_decides_about_more_time", agree=st.booleans(), stranger=RARELY),
    act("somebody_decides_about_more_time", agree=st.booleans(), stranger=RARELY),
    act("it_is_swept"),
    act("the_subject_agrees_anew", really=RARELY),
    act("somebody_pauses", stranger=RARELY),
    act("somebody_resumes", stranger=RARELY),
    act("somebody_withdraws", by=st.sampled_from(WITHDRAWERS), foreign=RARELY, really=RARELY),
    act("the_partner_checks"),
)


class Stage(HeldWorld):
    """One installation with its actors, shared by all histories: each history is about a consent of its own."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        super().__init__(folder, pair)
        self.subject: Subject = self.run(self.world.subject())
        self.stranger: Subject = self.run(self.world.subject(identities.person(1, date(1991, 1, 1), 8)))

    def leaves(self) -> int:
        async def count() -> int:
            async with self.world.services.database.read() as tx:
                return (await tx.execute(select(func.count()).select_from(ledger_leaves))).scalar_one()

        return int(self.run(count()))

    def told(self, partner_id: str) -> int:
        """How many events there have been for this partner, on their way or not."""

        async def count() -> int:
            heads, rows = event_heads, outbox
            numbered = select(func.coalesce(func.max(heads.c.number), 0)).where(heads.c.partner_id == partner_id)
            waiting = select(func.count()).select_from(rows).where(rows.c.partner_id == partner_id)
            both = select(numbered.scalar_subquery() + waiting.scalar_subquery())
            async with self.world.services.database.read() as tx:
                return int((await tx.execute(both)).scalar_one())

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

    @initialize(
        scenario=st.sampled_from([RECURRING, RECURRING, ONCE]),
        channel=st.sampled_from(Channel),
        named=st.booleans(),
        answered=st.sampled_from(["yes", "yes", "yes", "no", "not yet"]),
    )
    def ask(self, scenario: str, channel: Channel, named: bool, answered: str) -> None:
        self.term = timedelta(days=365 if scenario == RECURRING else 7)
        self.once = scenario == ONCE
        self.channel = channel
        self.named = named or channel is Channel.LINK
        self.scenario = scenario
        # A client of its own: what is given to it in one history supersedes nothing of another.
        self.client: Client = self.stage.run(self.stage.world.client(RECURRING, ONCE))
        if channel is Channel.LINK:
            self.consent: Consent = self.stage.run(self.stage.world.services.asks.ask(self.by_link()))
        else:
            subject = self.stage.subject if named else None
            self.consent = self.stage.run(self.stage.world.asked(self.client, scenario, subject))
        self.state = ConsentState.AWAITING_AUTHORISATION
        self.given = False
        self.deadline: datetime = self.now.replace(microsecond=0) + ANSWER_WITHIN
        self.uses = 0
        self.refused_at: datetime | None = None
        self.reminded_at: datetime | None = None
        self.another_until: datetime | None = None
        self.extension: Extension | None = None
        self.lapsed = False  # an extension did that nobody has written down yet
        self.extension_refused_at: datetime | None = None
        if answered != "not yet":
            self.somebody_answers(stranger=False, agree=answered == "yes")
            self.stage.world.clock.advance(timedelta(seconds=1))

    def by_link(self) -> Ask:
        assert self.client.partner_id is not None
        return Ask(
            client_id=self.client.id,
            partner_id=self.client.partner_id,
            scenario_id=self.scenario,
            version=None,
            identifier=self.stage.subject.identifier.value,
            kind=None,
        )

    @rule(act=ACTS)
    def something_happens(self, act: tuple[str, dict[str, Any]]) -> None:
        """One rule for all: Hypothesis would leave most of many rules out of each history."""
        name, details = act
        getattr(self, name)(**details)

    @property
    def now(self) -> datetime:
        return self.stage.world.clock.now()

    def pass_time(self) -> None:
        """What the model knows of time: the deadline itself is too late."""
        if self.state in OPEN and self.now >= self.deadline:
            self.state = ConsentState.EXPIRED
        if self.extension is not None and (self.now >= self.extension.request_expires_at or self.state not in OPEN):
            self.extension, self.lapsed = None, True
        self.lapsed = self.lapsed and self.state in OPEN

    def attempt(
        self, act: Callable[[], Awaitable[Any]], refusal: Code | None, *, left: int = 1, told: int | None = None
    ) -> Any:
        """Does it: it is refused as the model says and leaves nothing, or each change leaves a leaf and is told."""
        before, leaves, events = self.stage.stored(self.consent.id), self.stage.leaves(), self.events()
        if refusal is None:
            result = self.stage.run(act())
            assert (self.stage.leaves(), self.events()) == (leaves + left, events + (left if told is None else told))
            return result
        with pytest.raises(XinyiError) as refused:
            self.stage.run(act())
        assert refused.value.code is refusal
        assert (refused.value.retry_after is not None) is (refusal is Code.COOLING_DOWN)
        after = (self.stage.stored(self.consent.id), self.stage.leaves(), self.events())
        assert after == (before, leaves, events)
        return None

    def events(self) -> int:
        assert self.client.partner_id is not None
        return self.stage.told(self.client.partner_id)

    def is_quiet(self, since: datetime | None, hours: int) -> bool:
        """Whether the partner has to leave the subject in peace."""
        return since is not None and self.now < since + timedelta(hours=hours)

    def time_passes(self, by: timedelta | None) -> None:
        """So long, or until the last moment before the deadline."""
        if by is not None:
            self.stage.world.clock.advance(by)
        elif self.state in OPEN and self.now < self.deadline - LAST_TICK:
            self.stage.world.clock.advance(self.deadline - LAST_TICK - self.now)
        self.pass_time()

    def the_deadline_comes(self, really: bool) -> None:
        if really and self.state in OPEN and self.now < self.deadline:
            self.stage.world.clock.advance(self.deadline - self.now)
        self.pass_time()

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
            self.refused_at = self.now if self.named else None

    def the_partner_asks_the_same_by_link(self) -> None:
        waits = self.channel is Channel.LINK and self.state is ConsentState.AWAITING_AUTHORISATION
        another = self.another_until is not None and self.now < self.another_until
        refusal = None
        if waits or another:
            refusal = Code.WRONG_STATE
        elif self.is_quiet(self.refused_at, 24):
            refusal = Code.COOLING_DOWN
        asked = self.attempt(lambda: self.stage.world.services.asks.ask(self.by_link()), refusal, told=0)
        if asked is not None:
            assert asked.id != self.consent.id
            self.another_until = asked.request_expires_at

    def the_partner_reminds(self, foreign: bool) -> None:
        assert self.client.partner_id is not None
        waits = self.channel is Channel.LINK and self.state is ConsentState.AWAITING_AUTHORISATION
        refusal = None
        if foreign:
            refusal = Code.NOT_FOUND
        elif not waits and self.extension is None:
            refusal = Code.WRONG_STATE
        elif self.is_quiet(self.reminded_at, 168):
            refusal = Code.COOLING_DOWN
        who = "prt_other" if foreign else self.client.partner_id
        self.attempt(lambda: self.stage.world.services.asks.remind(self.consent.id, who), refusal)
        if refusal is None:
            self.reminded_at = self.now.replace(microsecond=0)

    def the_partner_asks_for_more_time(self, days: int | None, foreign: bool) -> None:
        assert self.client.partner_id is not None
        most = self.term.days
        now = self.now.replace(microsecond=0)
        refusal = None
        if foreign:
            refusal = Code.NOT_FOUND
        elif self.state not in {ConsentState.AUTHORISED, ConsentState.PAUSED}:
            refusal = Code.WRONG_STATE
        elif (days or most) > most or now + timedelta(days=days or most) < self.deadline:
            refusal = Code.INVALID
        elif self.extension is not None:
            refusal = Code.WRONG_STATE
        elif self.is_quiet(self.extension_refused_at, 24):
            refusal = Code.COOLING_DOWN
        partner = "prt_other" if foreign else self.client.partner_id
        asked = self.attempt(
            lambda: self.stage.world.services.extensions.request(
                self.consent.id, partner_id=partner, client_id=self.client.id, days=days
            ),
            refusal,
            left=1 + self.lapsed,
        )
        if asked is not None:
            self.lapsed = False
            assert asked.request_expires_at == min(now + ANSWER_EXTENSION_WITHIN, self.deadline)
            self.extension = asked

    def somebody_decides_about_more_time(self, agree: bool, stranger: bool) -> None:
        service = self.stage.world.services.extensions
        who = self.stage.stranger if stranger else self.stage.subject
        extension_id = "ext_none" if self.extension is None else self.extension.id
        refusal = None
        if stranger or not (self.given or self.state is ConsentState.REJECTED):
            refusal = Code.NOT_FOUND
        elif self.extension is None:
            refusal = Code.WRONG_STATE
        decide = service.grant if agree else service.refuse
        self.attempt(lambda: decide(self.consent.id, extension_id, who.id), refusal)
        if refusal is not None or self.extension is None:
            return
        now = self.now.replace(microsecond=0)
        if agree:
            self.deadline = now + timedelta(days=self.extension.days)
        else:
            self.extension_refused_at = now
        self.extension = None

    def it_is_swept(self) -> None:
        """It stays as it is computed to be; doing it again changes nothing."""
        sweep = self.stage.world.services.consent_sweep
        self.stage.run(sweep.run())
        self.lapsed = False
        swept, leaves, events = self.stage.stored(self.consent.id), self.stage.leaves(), self.events()
        assert (swept.ended_as is None) is (self.state in OPEN)
        self.stage.run(sweep.run())
        assert (self.stage.stored(self.consent.id), self.stage.leaves(), self.events()) == (swept, leaves, events)

    def the_subject_agrees_anew(self, really: bool) -> None:
        if not really:
            return
        superseded = self.given and self.state in OPEN and not self.once
        leaves = self.stage.leaves()
        self.stage.run(self.stage.world.consent(self.client, self.scenario, self.stage.subject))
        assert self.stage.leaves() >= leaves + 2 + superseded  # asked, given, and what it takes the place of
        if superseded:
            self.state = ConsentState.WITHDRAWN
            self.pass_time()

    def somebody_pauses(self, stranger: bool) -> None:
        self.change("pause", stranger, {ConsentState.AUTHORISED}, ConsentState.PAUSED)

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

    def somebody_withdraws(self, by: Party, foreign: bool, really: bool) -> None:
        if not really and self.state in OPEN:
            return  # too many histories would be short
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
        elif self.state not in OPEN and not self.given:
            refusal = Code.WRONG_STATE
        self.attempt(lambda: service.withdraw(self.consent.id, by, who), refusal)
        if refusal is None:
            self.state = ConsentState.WITHDRAWN
            self.pass_time()

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
            self.pass_time()

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
    run_state_machine_as_test(HistoryHere, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))
